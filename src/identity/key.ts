// A workload's key pair: made here, handed only to node:tls, never sent anywhere.

import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { err, ok, type Result } from "../base/result.ts";

/** What keys are made of; the first is the default. */
export const KEY_ALGORITHMS = ["ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096"] as const;
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number];

export const DEFAULT_KEY_ALGORITHM: KeyAlgorithm = "ECDSA-P256";

export function readKeyAlgorithm(text: string): KeyAlgorithm | undefined {
  return KEY_ALGORITHMS.find((each) => each === text.toUpperCase());
}

export function generateKey(algorithm: KeyAlgorithm = DEFAULT_KEY_ALGORITHM): KeyObject {
  switch (algorithm) {
    case "ECDSA-P256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    case "ECDSA-P384":
      return generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
    default:
      return generateKeyPairSync("rsa", { modulusLength: Number(algorithm.slice("RSA-".length)) }).privateKey;
  }
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
