// Keys and tokens of the table: made anew in each run, signed with node:crypto alone.

import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const otherEc = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

const publicJwk = (pair: { publicKey: KeyObject }, more: Record<string, unknown>) => ({
  ...pair.publicKey.export({ format: "jwk" }),
  ...more,
});

/** An EC and an RSA key, each with its id. */
export const JWKS = JSON.stringify({ keys: [publicJwk(ec, { kid: "ec" }), publicJwk(rsa, { kid: "rsa" })] });
/** The RSA key alone, without id or algorithm: it may be tried with whatever a token names. */
export const RSA_JWKS = JSON.stringify({ keys: [publicJwk(rsa, {})] });

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

export const nowS = Math.floor(Date.now() / 1000);

export const CLAIMS = {
  iss: "https://issuer.test",
  sub: "jane",
  aud: ["https://api.test/", "other"],
  exp: nowS + 3600,
  scope: "read write",
  groups: ["admin", "dev"],
  level: 3,
  admin: true,
  nested: { "deep-er": { key: "found" } },
} as const;

type Claims = Readonly<Record<string, unknown>>;

export function token(claims: Claims = {}, header: Claims = {}): string {
  const input = `${part({ alg: "ES256", kid: "ec", ...header })}.${part({ ...CLAIMS, ...claims })}`;
  return `${input}.${signed(input, ec.privateKey)}`;
}

export function tokenOfOtherKey(): string {
  const input = `${part({ alg: "ES256", kid: "ec" })}.${part(CLAIMS)}`;
  return `${input}.${signed(input, otherEc.privateKey)}`;
}

export function rsaToken(): string {
  const input = `${part({ alg: "RS256", kid: "rsa" })}.${part(CLAIMS)}`;
  return `${input}.${sign("sha256", Buffer.from(input), rsa.privateKey).toString("base64url")}`;
}

/** Signed with the RSA key's public text as an HMAC secret: what a verifier that trusts `alg` would take. */
export function confusedToken(): string {
  const input = `${part({ alg: "HS256" })}.${part(CLAIMS)}`;
  const secret = rsa.publicKey.export({ format: "pem", type: "spki" });
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

export function unsignedToken(): string {
  return `${part({ alg: "none" })}.${part(CLAIMS)}.`;
}

export function tamperedToken(): string {
  const [header, , signature] = token().split(".");
  return `${header}.${part({ ...CLAIMS, sub: "root" })}.${signature}`;
}

export const payloadOf = (text: string): string => text.split(".")[1] ?? "";

function signed(input: string, key: KeyObject): string {
  return sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");
}
