// Every secret by name: the workload's own (local), those of the bootstrap, those of the control plane; the first that has it wins.

import fs from "node:fs";
import { deepEqual } from "../../base/equal.ts";
import { watchFiles } from "../../base/watch-file.ts";
import type { DataSource } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { Secret } from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import type { SecretSource, SecretValue } from "../socket/secret.ts";

export class SecretStore implements SecretSource {
  readonly #local: SecretSource | undefined;
  readonly #values = new Map<string, SecretValue>();
  /** What the control plane said it has not. */
  readonly #absent = new Set<string>();
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #watches = new Map<string, () => void>();

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

  isAbsent(name: string): boolean {
    return this.#absent.has(name);
  }

  /** What was there stays in use; who waits for one that never came is told. */
  setAbsent(name: string): void {
    this.#absent.add(name);
    if (this.get(name) === undefined) this.#tell(name);
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

  /** Files that the secret names are read, and read again when they change. */
  set(name: string, secret: Secret): void {
    this.#absent.delete(name);
    this.#watches.get(name)?.();
    this.#watches.delete(name);
    const files = filesOf(secret);
    if (files.length > 0) {
      this.#watches.set(
        name,
        watchFiles(files, foldersOf(secret), () => this.#read(name, secret)),
      );
    }
    this.#read(name, secret);
  }

  close(): void {
    for (const stop of this.#watches.values()) stop();
  }

  #tell(name: string): void {
    for (const run of [...(this.#listeners.get(name) ?? [])]) run();
  }

  #read(name: string, secret: Secret): void {
    const value = secretValue(secret);
    if (value === undefined || deepEqual(value, this.#values.get(name))) return;
    this.#values.set(name, value);
    this.#tell(name);
  }
}

const LOCAL_NAMES = new Set(["default", "ROOTCA"]);

export function secretValue(secret: Secret): SecretValue | undefined {
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

function sourcesOf({ type }: Secret): readonly (DataSource | undefined)[] {
  if (type?.$case === "tlsCertificate") return [type.value.certificateChain, type.value.privateKey];
  return type?.$case === "validationContext" ? [type.value.trustedCa, type.value.crl] : [];
}

function filesOf(secret: Secret): readonly string[] {
  return sourcesOf(secret).flatMap((source) => {
    return source?.specifier?.$case === "filename" ? [source.specifier.value] : [];
  });
}

/** Each source may name a folder of its own beside that of the certificate. */
function foldersOf(secret: Secret): readonly string[] {
  const { type } = secret;
  const own = type?.$case === "tlsCertificate" || type?.$case === "validationContext" ? type.value : undefined;
  return [own, ...sourcesOf(secret)].flatMap((one) => {
    return one?.watchedDirectory === undefined ? [] : [one.watchedDirectory.path];
  });
}

/** A file that can't be read has no text: what was good before stays. */
function textOf(source: DataSource | undefined): string | undefined {
  const specifier = source?.specifier;
  switch (specifier?.$case) {
    case "inlineString":
      return specifier.value;
    case "inlineBytes":
      return specifier.value.toString("utf8");
    case "filename":
      try {
        return fs.readFileSync(specifier.value, "utf8");
      } catch {
        return undefined;
      }
    default:
      return undefined;
  }
}
