// What a workload's certificate is to be like, by the variables that Istio's agent reads.

import { DEFAULT_KEY_ALGORITHM, type KeyAlgorithm, readKeyAlgorithm } from "../identity/key.ts";
import { CERTIFICATE_LIFETIME_MAX_SECONDS, GRACE_JITTER, GRACE_RATIO } from "./limits.ts";

export interface CertificateSettings {
  readonly algorithm: KeyAlgorithm;
  /** 0: what the authority gives without being asked. */
  readonly lifetimeSeconds: number;
  /** The part of the lifetime that is left when it is renewed, and how much that may differ. */
  readonly graceRatio: number;
  readonly graceJitter: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function readCertificateSettings(env: Environment, issues: string[]): CertificateSettings {
  return {
    algorithm: readAlgorithm(env, issues),
    lifetimeSeconds: readLifetime(env["SECRET_TTL"] ?? "", issues),
    graceRatio: readRatio(env, "SECRET_GRACE_PERIOD_RATIO", GRACE_RATIO, issues),
    graceJitter: readRatio(env, "SECRET_GRACE_PERIOD_RATIO_JITTER", GRACE_JITTER, issues),
  };
}

/** RSA only where its size is said and no elliptic curve is asked for. */
function readAlgorithm(env: Environment, issues: string[]): KeyAlgorithm {
  const signature = env["ECC_SIGNATURE_ALGORITHM"] ?? "";
  const curve = env["ECC_CURVE"] ?? "";
  const bits = env["WORKLOAD_RSA_KEY_SIZE"] ?? "";
  if (signature !== "" && signature !== "ECDSA") {
    issues.push(`ECC_SIGNATURE_ALGORITHM: "${signature}" is not supported: ECDSA`);
  }
  if (curve !== "" && curve !== "P256" && curve !== "P384") issues.push(`ECC_CURVE: "${curve}" is not P256 or P384`);
  if (signature === "" && curve === "" && bits !== "") {
    const algorithm = readKeyAlgorithm(`RSA-${bits}`);
    if (algorithm === undefined) issues.push(`WORKLOAD_RSA_KEY_SIZE: "${bits}" is not 2048, 3072 or 4096`);
    return algorithm ?? DEFAULT_KEY_ALGORITHM;
  }
  return curve === "P384" ? "ECDSA-P384" : DEFAULT_KEY_ALGORITHM;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { h: 3_600, m: 60, s: 1 };

/** Go's form: `24h`, `1h30m`. */
function readLifetime(text: string, issues: string[]): number {
  if (text === "") return 0;
  const parts = [...text.matchAll(/(\d+)([hms])/g)];
  const seconds = parts.reduce((sum, [, amount, unit = "s"]) => sum + Number(amount) * (UNIT_SECONDS[unit] ?? 1), 0);
  const whole = parts.map(([part]) => part).join("") === text;
  if (whole && seconds > 0 && seconds <= CERTIFICATE_LIFETIME_MAX_SECONDS) return seconds;
  issues.push(`SECRET_TTL: "${text}" is no duration of at most 90 days, as 24h or 1h30m`);
  return 0;
}

function readRatio(env: Environment, name: string, fallback: number, issues: string[]): number {
  const text = env[name] ?? "";
  if (text === "") return fallback;
  const ratio = Number(text);
  if (ratio > 0 && ratio < 1) return ratio;
  issues.push(`${name}: "${text}" is not between 0 and 1`);
  return fallback;
}
