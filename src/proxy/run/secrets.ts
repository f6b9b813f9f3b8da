// Every secret by name: the workload's own (local), those of the bootstrap, those of the control plane; the first that has it wins.

import type { DataSource } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { Secret } from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import type { SecretSource, SecretValue } from "../socket/secret.ts";

export class SecretStore implements SecretSource {
  readonly #local: SecretSource | undefined;
  readonly #values = new Map<string, SecretValue>();
  readonly #listeners = new Map<string, Set<() => void>>();

  constructor(local: SecretSource | undefined) {
    this.#local = local;
  }

  get(name: string): SecretValue | undefined {
    return this.#local?.get(name) ?? this.#values.get(name);
  }

  /** What the control plane has to be asked for. */
  isLocal(name: string): boolean {
    return LOCAL_NAMES.has(name) && this.#local !== undefined;
  }

  names(): readonly string[] {
    return [...new Set([...(this.#local === undefined ? [] : LOCAL_NAMES), ...this.#values.keys()])];
  }

  onChange(name: string, run: () => void): () => void {
    let listeners = this.#listeners.get(name);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(name, listeners);
    }
    listeners.add(run);
    const stopLocal = this.#local?.onChange(name, run);
    return () => {
      listeners.delete(run);
      stopLocal?.();
    };
  }

  set(secret: Secret): void {
    const value = secretValue(secret);
    if (value === undefined) return;
    this.#values.set(secret.name, value);
    for (const run of [...(this.#listeners.get(secret.name) ?? [])]) run();
  }
}

const LOCAL_NAMES = new Set(["default", "ROOTCA"]);

function secretValue(secret: Secret): SecretValue | undefined {
  const { type } = secret;
  if (type?.$case === "tlsCertificate") {
    const chain = textOf(type.value.certificateChain);
    const key = textOf(type.value.privateKey);
    if (chain === undefined || key === undefined) return undefined;
    return { kind: "certificate", certificateChainPem: chain, privateKeyPem: key };
  }
  if (type?.$case === "validationContext") {
    const bundle = textOf(type.value.trustedCa);
    return bundle === undefined ? undefined : { kind: "trust", bundlePem: bundle, crlPem: textOf(type.value.crl) };
  }
  return undefined;
}

function textOf(source: DataSource | undefined): string | undefined {
  const specifier = source?.specifier;
  if (specifier?.$case === "inlineString") return specifier.value;
  return specifier?.$case === "inlineBytes" ? specifier.value.toString("utf8") : undefined;
}
