// A path as the connection manager normalises it (RFC 3986): dot segments, needless escapes, doubled and escaped slashes.

import type { HttpConfig } from "../compile/http.ts";

export type NormalizedPath =
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "redirect"; readonly path: string }
  | { readonly kind: "refuse"; readonly message: string };

const PLAIN = /^\/(?!\/)(?:[A-Za-z0-9_~!$&'()*+,;=:@-]|\.(?=[A-Za-z0-9_~-])|\/(?!\/|\.))*(?:\?.*)?$/;
const ESCAPED_SLASH = /%(?:2f|5c)/i;

export function normalizePath(path: string, config: HttpConfig): NormalizedPath {
  if (PLAIN.test(path) || path === "*" || path === "") return { kind: "path", path };
  const question = path.indexOf("?");
  let bare = question === -1 ? path : path.slice(0, question);
  const query = question === -1 ? "" : path.slice(question);
  let redirect = false;
  if (config.escapedSlashes !== "keep" && ESCAPED_SLASH.test(bare)) {
    if (config.escapedSlashes === "reject") return { kind: "refuse", message: "an escaped slash in the path" };
    bare = bare.replace(/%2f/gi, "/").replace(/%5c/gi, "\\");
    redirect = config.escapedSlashes === "unescape-redirect";
  }
  if (config.normalizePath) {
    bare = removeDots(unescapeUnreserved(bare.replaceAll("\\", "/")));
  }
  if (config.mergeSlashes) bare = bare.replace(/\/{2,}/g, "/");
  return { kind: redirect ? "redirect" : "path", path: bare + query };
}

function unescapeUnreserved(path: string): string {
  return path.replace(/%([0-9a-fA-F]{2})/g, (whole, digits: string) => {
    const char = String.fromCharCode(Number.parseInt(digits, 16));
    return /[A-Za-z0-9\-._~]/.test(char) ? char : whole;
  });
}

/** As a browser does it: above the root is the root. */
function removeDots(path: string): string {
  if (!path.includes("/.")) return path;
  const kept: string[] = [];
  const parts = path.split("/").slice(1);
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    if (part === "..") {
      kept.pop();
      if (last) kept.push("");
    } else if (part === ".") {
      if (last) kept.push("");
    } else kept.push(part);
  }
  return `/${kept.join("/")}`;
}
