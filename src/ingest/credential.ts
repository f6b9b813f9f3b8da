// What the mesh keeps of a Secret: a certificate with its key, or whom to trust; nothing of Secrets that are neither.

import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import type { KubeObject } from "../api/object.ts";
import { isRecord } from "../base/json.ts";
import { CREDENTIAL_BYTES_MAX } from "./limits.ts";

export interface Credential {
  readonly certificate: { readonly chainPem: string; readonly key: PrivateKey } | undefined;
  readonly trust: { readonly bundlePem: string; readonly crlPem: string | undefined } | undefined;
  /** Finishes "Secret a/b …": why its certificate can't be presented. */
  readonly broken: string | undefined;
}

export interface CredentialResource extends KubeObject {
  /** Of a type that may hold one, with the keys of one. */
  readonly credential?: Credential;
}

/** Printed, compared and logged by its hash; its text is only for the one place that sends it. */
export class PrivateKey {
  readonly sha256: string;
  readonly #pem: string;

  constructor(pem: string) {
    this.#pem = pem;
    this.sha256 = createHash("sha256").update(pem).digest("base64url");
  }

  reveal(): string {
    return this.#pem;
  }
}

const TYPES: ReadonlySet<unknown> = new Set(["kubernetes.io/tls", "Opaque", undefined]);

/** Undefined for every Secret that is no credential: it is not held. */
export function keepCredential(object: KubeObject): CredentialResource | undefined {
  const data: unknown = Reflect.get(object, "data");
  if (!TYPES.has(Reflect.get(object, "type")) || !isRecord(data)) return undefined;
  const { apiVersion, kind, metadata } = object;
  const chainPem = textOf(data, ["tls.crt", "cert"]);
  const keyPem = textOf(data, ["tls.key", "key"]);
  const bundlePem = textOf(data, ["ca.crt", "cacert"]);
  const pair = chainPem === undefined || keyPem === undefined ? undefined : { chainPem, keyPem };
  const broken = pair === undefined ? undefined : pairProblem(pair);
  const certificate =
    pair === undefined || broken !== undefined
      ? undefined
      : { chainPem: pair.chainPem, key: new PrivateKey(pair.keyPem) };
  const trust = bundlePem === undefined ? undefined : { bundlePem, crlPem: textOf(data, ["ca.crl", "crl"]) };
  if (pair === undefined && trust === undefined) return undefined;
  const { annotations: _applied, ...kept } = metadata;
  return { apiVersion, kind, metadata: kept, credential: { certificate, trust, broken } };
}

/** A proxy would refuse it as a whole, or fail every handshake. */
function pairProblem({ chainPem, keyPem }: { readonly chainPem: string; readonly keyPem: string }): string | undefined {
  try {
    const certificate = new X509Certificate(chainPem);
    return certificate.checkPrivateKey(createPrivateKey(keyPem))
      ? undefined
      : "has a private key that is not that of its certificate";
  } catch {
    return "has a certificate or a key that can't be read as PEM";
  }
}

/** The first of the keys that has something. */
function textOf(data: Readonly<Record<string, unknown>>, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const value = data[key];
    if (typeof value !== "string" || value === "" || value.length > CREDENTIAL_BYTES_MAX) continue;
    return Buffer.from(value, "base64").toString("utf8");
  }
  return undefined;
}
