// The key of a consistent hash: from a header, a cookie, a query parameter or the client's address. Computed as Envoy does, so
// that a fleet of both sends one key to one host.

import { type Hash64, xxHash64 } from "../../base/hash.ts";
import type { RequestHead } from "../codec/head.ts";
import type { HashSource } from "../compile/action.ts";

export interface HashKey {
  readonly hash: Hash64 | undefined;
  /** A cookie that the proxy made, to be set on the response. */
  readonly setCookie: string | undefined;
}

export function hashKey(
  sources: readonly HashSource[],
  head: RequestHead,
  around: { readonly sourceIp: string; readonly freshId: () => string },
): HashKey {
  let hash: Hash64 | undefined;
  let setCookie: string | undefined;
  for (const source of sources) {
    let part: Hash64 | undefined;
    if (source.kind === "cookie") {
      let value = cookieOf(head, source.name);
      if (value === undefined && source.ttlMs !== undefined) {
        value = around.freshId();
        setCookie = cookieText(source, value, source.ttlMs);
      }
      part = value === undefined ? undefined : xxHash64(value);
    } else part = plainHash(source, head, around.sourceIp);
    if (part !== undefined) hash = hash === undefined ? part : combined(hash, part);
    if (source.terminal && hash !== undefined) break;
  }
  return { hash, setCookie };
}

/** The older one is turned by a bit, so that a key that is there twice does not cancel itself. */
function combined(before: Hash64, part: Hash64): Hash64 {
  return {
    high: (((before.high << 1) | (before.low >>> 31)) ^ part.high) >>> 0,
    low: (((before.low << 1) | (before.high >>> 31)) ^ part.low) >>> 0,
  };
}

function cookieText(source: Extract<HashSource, { kind: "cookie" }>, value: string, ttlMs: number): string {
  const age = ttlMs === 0 ? "" : `; Max-Age=${Math.floor(ttlMs / 1000)}`;
  const path = source.path === "" ? "" : `; Path=${source.path}`;
  return `${source.name}="${value}"${age}${path}${source.attributes}; HttpOnly`;
}

function plainHash(
  source: Exclude<HashSource, { kind: "cookie" }>,
  head: RequestHead,
  sourceIp: string,
): Hash64 | undefined {
  switch (source.kind) {
    case "header": {
      const values = valuesOf(head, source.name);
      if (values.length === 0) return undefined;
      const { rewrite } = source;
      // Every value counts, in whatever order they come.
      const texts = (rewrite === undefined ? values : values.map((value) => rewrite.apply(value))).sort();
      let hash: Hash64 | undefined;
      for (const text of texts) hash = xxHash64(text, hash);
      return hash;
    }
    case "source-ip":
      return xxHash64(sourceIp);
    case "query": {
      const value = queryValue(head.path, source.name);
      return value === undefined ? undefined : xxHash64(value);
    }
  }
}

/** The first, as it was written: nothing is decoded. */
function queryValue(path: string, name: string): string | undefined {
  const from = path.indexOf("?");
  if (from === -1) return undefined;
  for (const part of path.slice(from + 1).split("&")) {
    const equals = part.indexOf("=");
    if ((equals === -1 ? part : part.slice(0, equals)) === name) return equals === -1 ? "" : part.slice(equals + 1);
  }
  return undefined;
}

function valuesOf(head: RequestHead, name: string): string[] {
  if (name.startsWith(":") || name === "host") {
    const value = head.get(name);
    return value === undefined ? [] : [value];
  }
  const { raw } = head.headers;
  const values: string[] = [];
  for (let at = 0; at < raw.length; at += 2) if (raw[at] === name) values.push(raw[at + 1] ?? "");
  return values;
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
