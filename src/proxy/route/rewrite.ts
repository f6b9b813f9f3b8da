// What a route changes: path and authority; and where a redirect leads.

import type { RequestHead } from "../codec/head.ts";
import type { ForwardAction, PathRewrite, RedirectConfig } from "../compile/action.ts";

export function rewritePath(path: string, rewrite: PathRewrite): string {
  const question = path.indexOf("?");
  const bare = question === -1 ? path : path.slice(0, question);
  const query = question === -1 ? "" : path.slice(question);
  switch (rewrite.kind) {
    case "prefix":
      return rewrite.text + bare.slice(rewrite.matched) + query;
    case "exact":
      return rewrite.text + query;
    case "regex":
      return rewrite.substitution.apply(bare) + query;
    case "template": {
      const captures = rewrite.pattern.capture(bare);
      return captures === undefined ? path : rewrite.write(captures) + query;
    }
  }
}

/** `auto` is the chosen endpoint's own name. */
export function rewriteHost(head: RequestHead, action: ForwardAction, hostname: string): string {
  const rewrite = action.hostRewrite;
  switch (rewrite?.kind) {
    case undefined:
      return head.authority;
    case "literal":
      return rewrite.text;
    case "auto":
      return hostname === "" ? head.authority : hostname;
    case "header":
      return head.headers.get(rewrite.name) ?? head.authority;
    case "path-regex":
      return rewrite.substitution.apply(head.path.split("?", 1)[0] ?? "");
  }
}

export function redirectLocation(head: RequestHead, redirect: RedirectConfig): string {
  const scheme = redirect.scheme === "" ? head.scheme : redirect.scheme;
  const [name = "", port = ""] = splitAuthority(head.authority);
  const host = redirect.host === "" ? name : redirect.host;
  let newPort = redirect.port === 0 ? "" : String(redirect.port);
  // A port that was only the old scheme's default would be wrong behind the new one.
  const outdated = scheme !== head.scheme && (port === "80" || port === "443");
  if (redirect.port === 0 && redirect.host === "" && !outdated) newPort = port;
  return `${scheme}://${host}${newPort === "" ? "" : `:${newPort}`}${redirectPath(head.path, redirect)}`;
}

function redirectPath(path: string, redirect: RedirectConfig): string {
  const question = path.indexOf("?");
  const query = question === -1 || redirect.stripQuery ? "" : path.slice(question);
  if (redirect.path !== undefined) return redirect.path.includes("?") ? redirect.path : redirect.path + query;
  const bare = question === -1 ? path : path.slice(0, question);
  return redirect.rewrite === undefined ? bare + query : rewritePath(bare, redirect.rewrite) + query;
}

function splitAuthority(authority: string): readonly string[] {
  const match = /^(.*?)(?::(\d+))?$/.exec(authority);
  return [match?.[1] ?? authority, match?.[2] ?? ""];
}
