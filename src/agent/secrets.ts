// The workload's certificate and the mesh's trust, by the names that configurations use: `default` and `ROOTCA`.

import type { SecretSource, SecretValue } from "../proxy/socket/secret.ts";

export class LocalSecrets implements SecretSource {
  readonly #values = new Map<string, SecretValue>();
  readonly #listeners = new Map<string, Set<() => void>>();

  get(name: string): SecretValue | undefined {
    return this.#values.get(name);
  }

  set(name: string, value: SecretValue): void {
    this.#values.set(name, value);
    for (const run of this.#listeners.get(name) ?? []) run();
  }

  onChange(name: string, run: () => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(run);
    return () => listeners.delete(run);
  }
}
