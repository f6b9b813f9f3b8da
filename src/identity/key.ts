// A workload's key pair: made here, handed only to node:tls, never sent anywhere.

import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { err, ok, type Result } from "../base/result.ts";

/** ECDSA on P-256. */
export function generateKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

export function privateKeyToPem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

export function privateKeyFromPem(pem: string): Result<KeyObject, string> {
  try {
    return ok(createPrivateKey(pem));
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}
