// The key of a consistent hash: from a header, a cookie, a query parameter or the client's address.

import type { RequestHead } from "../codec/head.ts";
import type { HashSource } from "../compile/action.ts";

export interface HashKey {
  readonly text: string | undefined;
  /** A cookie that the proxy made, to be set on the response. */
  readonly setCookie: string | undefined;
}

export function hashKey(
  sources: readonly HashSource[],
  head: RequestHead,
  around: { readonly sourceIp: string; readonly freshId: () => string },
): HashKey {
  let text: string | undefined;
  let setCookie: string | undefined;
  for (const source of sources) {
    let part: string | undefined;
    if (source.kind === "cookie") {
      part = cookieOf(head, source.name);
      if (part === undefined && source.ttlMs !== undefined) {
        part = around.freshId();
        const age = source.ttlMs === 0 ? "" : `; Max-Age=${Math.floor(source.ttlMs / 1000)}`;
        const path = source.path === "" ? "" : `; Path=${source.path}`;
        setCookie = `${source.name}="${part}"${age}${path}${source.attributes}; HttpOnly`;
      }
    } else part = plainKey(source, head, around.sourceIp);
    if (part === undefined) continue;
    text = text === undefined ? part : `${text}\n${part}`;
    if (source.terminal) break;
  }
  return { text, setCookie };
}

function plainKey(
  source: Exclude<HashSource, { kind: "cookie" }>,
  head: RequestHead,
  sourceIp: string,
): string | undefined {
  switch (source.kind) {
    case "header": {
      const value = head.get(source.name);
      return value === undefined || source.rewrite === undefined ? value : source.rewrite.apply(value);
    }
    case "source-ip":
      return sourceIp;
    case "query":
      return new URLSearchParams(head.path.split("?", 2)[1] ?? "").get(source.name) ?? undefined;
  }
}

function cookieOf(head: RequestHead, name: string): string | undefined {
  for (const part of (head.headers.joined("cookie") ?? "").split(";")) {
    const equals = part.indexOf("=");
    if (equals !== -1 && part.slice(0, equals).trim() === name)
      return part
        .slice(equals + 1)
        .trim()
        .replace(/^"|"$/g, "");
  }
  return undefined;
}
