// The signature of a token against a set of keys. The library that checks it is loaded with the first token.

import { type Jwk, KEY_KINDS, type KeySet } from "../compile/jwks.ts";
import { JWT, type Token } from "./jwt-token.ts";

let library: Promise<typeof import("jose")> | undefined;

/** Undefined: it was signed with one of the keys. Otherwise what is wrong. Never rejects. */
export async function verifySignature(token: Token, set: KeySet): Promise<string | undefined> {
  const candidates = set.keys.filter((key) => mayHaveSigned(key, token));
  if (candidates.length === 0) return JWT.keyMismatch;
  library ??= import("jose");
  const jose = await library;
  for (const key of candidates) {
    const jwk = publicPart(key, KEY_KINDS.get(token.alg) ?? "");
    if (jwk === undefined) continue;
    try {
      const imported = await jose.importJWK(jwk, token.alg);
      await jose.compactVerify(token.text, imported, { algorithms: [token.alg] });
      return undefined;
    } catch {
      // Not this key; the next may be it.
    }
  }
  return JWT.failed;
}

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  RSA: ["n", "e"],
  EC: ["crv", "x", "y"],
  OKP: ["crv", "x"],
  oct: ["k"],
};

/** A key of another kind than the algorithm's is never handed on: an RSA key must not become the secret of an HMAC. */
function publicPart(key: Jwk, kty: string): { kty: string; [member: string]: string } | undefined {
  if (key["kty"] !== kty) return undefined;
  const jwk: { kty: string; [member: string]: string } = { kty };
  for (const member of MEMBERS[kty] ?? []) {
    const value = key[member];
    if (typeof value !== "string") return undefined;
    jwk[member] = value;
  }
  return jwk;
}

/** What a key says of itself is held against the token; a key that says nothing may be anybody's. */
function mayHaveSigned(key: Jwk, token: Token): boolean {
  const { kid, alg } = key;
  if (token.kid !== "" && typeof kid === "string" && kid !== "" && kid !== token.kid) return false;
  return typeof alg !== "string" || alg === "" || alg === token.alg;
}
