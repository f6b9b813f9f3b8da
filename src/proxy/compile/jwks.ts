// A JSON Web Key Set, read: which of its keys can verify anything.

import { isRecord, parseJson } from "../../base/json.ts";
import { err, ok, type Result } from "../../base/result.ts";

export type Jwk = Readonly<Record<string, unknown>>;

/** One set as it was given or fetched; another set is another object. */
export interface KeySet {
  readonly keys: readonly Jwk[];
}

/** The algorithms that are known, and the kind of key that each takes: no other kind is ever tried. */
export const KEY_KINDS: ReadonlyMap<string, string> = new Map([
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map((alg): [string, string] => [alg, "RSA"]),
  ...["ES256", "ES384", "ES512"].map((alg): [string, string] => [alg, "EC"]),
  ...["HS256", "HS384", "HS512"].map((alg): [string, string] => [alg, "oct"]),
  ["EdDSA", "OKP"],
]);

const KINDS = new Set(KEY_KINDS.values());

/** The error is in Envoy's words. */
export function readKeySet(text: string): Result<KeySet, string> {
  const parsed = parseJson(text);
  if (!parsed.ok || !isRecord(parsed.value)) return err("Jwks is an invalid JSON");
  const { keys } = parsed.value;
  if (keys === undefined) return err("Jwks does not have [keys] field");
  if (!Array.isArray(keys)) return err("[keys] in Jwks is not an array");
  const known = keys.filter(isRecord).filter(({ kty }) => typeof kty === "string" && KINDS.has(kty));
  return known.length === 0 ? err("Jwks doesn't have any valid public key") : ok({ keys: known });
}
