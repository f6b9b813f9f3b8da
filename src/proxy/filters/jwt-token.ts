// Reading a JSON Web Token's parts, and finding tokens in a request; nothing here trusts what it reads.

import { isRecord, parseJson } from "../../base/json.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { RequestHead } from "../codec/head.ts";
import { KEY_KINDS } from "../compile/jwks.ts";
import type { JwtProviderConfig } from "../compile/jwt.ts";
import type { Struct } from "./filter.ts";

/** Envoy's words for what can be wrong with a token: they are the answer's body. */
export const JWT = {
  missing: "Jwt is missing",
  expired: "Jwt is expired",
  notYet: "Jwt not yet valid",
  badFormat: "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
  headerBase64: "Jwt header is an invalid Base64url encoded",
  headerJson: "Jwt header is an invalid JSON",
  headerAlg: "Jwt header [alg] field is required and must be a string",
  algUnknown: "Jwt header [alg] is not supported",
  headerKid: "Jwt header [kid] field is not a string",
  payloadBase64: "Jwt payload is an invalid Base64url encoded",
  payloadJson: "Jwt payload is an invalid JSON",
  payloadAud: "Jwt payload [aud] field is not a string or string list",
  signatureBase64: "Jwt signature is an invalid Base64url encoded",
  unknownIssuer: "Jwt issuer is not configured",
  audience: "Audiences in Jwt are not allowed",
  failed: "Jwt verification fails",
  keyMismatch: "Jwks doesn't have key to match kid or alg from Jwt",
  keysFetch: "Jwks remote fetch is failed",
} as const;

export interface Token {
  readonly text: string;
  readonly alg: string;
  readonly kid: string;
  readonly header: Struct;
  readonly payload: Struct;
  /** As it stands in the token: base64url without padding. */
  readonly payloadPart: string;
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  /** Seconds; undefined: the token does not say. */
  readonly expires: number | undefined;
  readonly notBefore: number | undefined;
}

const BASE64URL = /^[A-Za-z0-9_-]*$/;

export function readToken(text: string): Result<Token, string> {
  const parts = text.split(".", 4);
  const [headerPart = "", payloadPart = "", signaturePart = ""] = parts;
  if (parts.length !== 3 || signaturePart === "") return err(JWT.badFormat);
  const header = readPart(headerPart, JWT.headerBase64, JWT.headerJson);
  if (!header.ok) return header;
  const { alg, kid } = header.value;
  if (typeof alg !== "string") return err(JWT.headerAlg);
  if (!KEY_KINDS.has(alg)) return err(JWT.algUnknown);
  if (kid !== undefined && typeof kid !== "string") return err(JWT.headerKid);
  const payload = readPart(payloadPart, JWT.payloadBase64, JWT.payloadJson);
  if (!payload.ok) return payload;
  const claims = readClaims(payload.value);
  if (!claims.ok) return claims;
  if (!isBase64Url(signaturePart)) return err(JWT.signatureBase64);
  return ok({ text, alg, kid: kid ?? "", header: header.value, payload: payload.value, payloadPart, ...claims.value });
}

function isBase64Url(text: string): boolean {
  return BASE64URL.test(text) && text.length % 4 !== 1;
}

function readPart(part: string, notBase64: string, notJson: string): Result<Struct, string> {
  if (!isBase64Url(part)) return err(notBase64);
  const parsed = parseJson(Buffer.from(part, "base64url").toString("utf8"));
  return parsed.ok && isRecord(parsed.value) ? ok(parsed.value) : err(notJson);
}

type Claims = Pick<Token, "issuer" | "subject" | "audiences" | "expires" | "notBefore">;

function readClaims(payload: Struct): Result<Claims, string> {
  for (const name of ["iss", "sub", "jti"]) {
    if (payload[name] !== undefined && typeof payload[name] !== "string")
      return err(`Jwt payload [${name}] field is not a string`);
  }
  for (const name of ["iat", "nbf", "exp"]) {
    const value = payload[name];
    if (value === undefined) continue;
    if (typeof value !== "number") return err(`Jwt payload [${name}] field is not an integer`);
    if (value < 0 || value > Number.MAX_SAFE_INTEGER)
      return err(`Jwt payload [${name}] field is not a positive 64 bit integer`);
  }
  const audiences = audiencesOf(payload["aud"]);
  if (audiences === undefined) return err(JWT.payloadAud);
  return ok({
    issuer: textOf(payload["iss"]),
    subject: textOf(payload["sub"]),
    audiences,
    expires: secondsOf(payload["exp"]),
    notBefore: secondsOf(payload["nbf"]),
  });
}

function audiencesOf(value: unknown): readonly string[] | undefined {
  if (value === undefined) return [];
  if (typeof value === "string") return [value];
  if (!Array.isArray(value)) return undefined;
  const texts = value.filter((one) => typeof one === "string");
  return texts.length === value.length ? texts : undefined;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function secondsOf(value: unknown): number | undefined {
  return typeof value === "number" ? Math.floor(value) : undefined;
}

/** A token and who may have put it where it was found. */
export interface FoundToken {
  readonly text: string;
  /** The header that it was in. */
  readonly header: string | undefined;
  readonly providers: readonly JwtProviderConfig[];
}

/** Where several providers look in one place, the token there is found once. */
export function findTokens(head: RequestHead, providers: readonly JwtProviderConfig[]): readonly FoundToken[] {
  const found = new Map<string, FoundToken>();
  const note = (
    place: string,
    text: string | undefined,
    one: { header: string | undefined; provider: JwtProviderConfig },
  ) => {
    if (text === undefined || text === "") return;
    const before = found.get(place);
    found.set(place, { text, header: one.header, providers: [...(before?.providers ?? []), one.provider] });
  };
  for (const provider of providers) {
    for (const { name, prefix } of provider.headers) {
      const header = name === "cookie" ? undefined : name;
      note(`header ${name} ${prefix}`, fromHeader(head.headers.joined(name), prefix), { header, provider });
    }
  }
  for (const provider of providers) {
    if (provider.params.length === 0 || !head.path.includes("?")) continue;
    const query = new URLSearchParams(head.path.slice(head.path.indexOf("?") + 1));
    for (const name of provider.params)
      note(`param ${name}`, query.get(name) ?? undefined, { header: undefined, provider });
  }
  for (const provider of providers) {
    for (const name of provider.cookies) note(`cookie ${name}`, cookieOf(head, name), { header: undefined, provider });
  }
  return [...found.values()];
}

/** After the prefix, as far as the characters of a token go. */
function fromHeader(value: string | undefined, prefix: string): string | undefined {
  if (value === undefined) return undefined;
  if (prefix === "") return value;
  const at = value.indexOf(prefix);
  return at === -1 ? undefined : /[A-Za-z0-9_.-]+/.exec(value.slice(at + prefix.length))?.[0];
}

function cookieOf(head: RequestHead, wanted: string): string | undefined {
  for (const pair of (head.headers.joined("cookie") ?? "").split(/[;,]/)) {
    const equals = pair.indexOf("=");
    if (equals !== -1 && pair.slice(0, equals).trim() === wanted)
      return pair
        .slice(equals + 1)
        .trim()
        .replace(/^"(.*)"$/, "$1");
  }
  return undefined;
}
