// What two readers made of the same bytes: whether weft is the lax one, or frames them differently.

import type { Recorded } from "../framing/origin.ts";
import type { Forwarded } from "./forward.ts";
import type { Parsed } from "./llhttp.ts";

/** What llhttp refuses although the grammar has it. */
const STRICTER: readonly { readonly error: string; readonly in: RegExp; readonly reason: string }[] = [
  {
    error: "HPE_INVALID_TRANSFER_ENCODING",
    in: /transfer-encoding:[ \t]*chunked[ \t]*\t[ \t]*\r\n/i,
    reason: "a tab behind a field's value is no part of it (RFC 9110, 5.5)",
  },
  {
    error: "HPE_STRICT",
    in: /\n[0-9a-f]+(?:[ \t]+;|;[^\r\n]*[ \t])/i,
    reason: "blanks around a chunk extension's parts are passed over (RFC 9112, 7.1.1)",
  },
];

/** What is wrong with weft's reading; undefined: nothing. */
export function compareWithLlhttp(
  text: string,
  weft: Forwarded,
  read: { readonly original: Parsed; readonly output: Parsed },
): string | undefined {
  const { original, output } = read;
  if (output.error !== undefined) return `an origin refuses what weft writes: ${output.error}`;
  if (!same(output.requests, weft.requests)) return "an origin reads something else than weft understood";
  const theirs = original.requests.map(originForm);
  if (
    weft.requests.length > theirs.length &&
    !STRICTER.some((one) => one.error === original.error && one.in.test(text))
  )
    return `weft serves what llhttp refuses: ${original.error}`;
  for (const [index, request] of weft.requests.entries()) {
    if (theirs[index] !== undefined && request !== theirs[index]) return `read differently: ${theirs[index]}`;
  }
  return undefined;
}

function same(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((one, index) => one === right[index]);
}

/** `GET http://b/x a` asks b for /x. */
function originForm(request: string): string {
  const match = /^(\S+) http:\/\/([^/? ]*)(\S*) (\S*) (.*)$/i.exec(request);
  if (match === null) return request;
  const [, method, authority, rest = "", , body] = match;
  return `${method} ${rest.startsWith("/") ? rest : `/${rest}`} ${authority} ${body}`;
}

/** `stricter`: Envoy served more. Undefined: both alike. Else what is wrong with weft's reading. */
export function compareWithEnvoy(ours: Recorded, theirs: Recorded): string | undefined {
  if (ours.bad.length > 0) return `the origin can't read what weft writes: ${ours.bad[0]}`;
  const own = ours.requests.map(framed);
  const other = theirs.requests.map(framed);
  for (const [index, request] of own.entries()) {
    if (index < other.length && request !== other[index]) return `weft ${request}, Envoy ${other[index]}`;
  }
  if (own.length < other.length) return "stricter";
  if (own.length === other.length) return undefined;
  return `weft alone serves ${own[other.length]}`;
}

/** Method, target and body: the rest is each proxy's own. */
function framed(request: string): string {
  const body = / (?:length|chunked):(.*?)( trailer |$)/s.exec(request)?.[1] ?? "";
  return `${request.split(" ").slice(0, 2).join(" ")} ${JSON.stringify(body)}`;
}
