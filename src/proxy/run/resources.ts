// What arrived, by kind and name, with where it came from and what became of it: the ground of /config_dump.

import type { DumpEntry } from "../admin/view.ts";
import type { ResourceKind, ResourceRefusal, ResourceTypes } from "../subscribe/source.ts";

type Stores = { readonly [K in ResourceKind]: Map<string, DumpEntry<K>> };

export class Resources {
  readonly #stores: Stores = {
    cluster: new Map(),
    endpoint: new Map(),
    listener: new Map(),
    route: new Map(),
    secret: new Map(),
  };

  get<K extends ResourceKind>(kind: K, name: string): DumpEntry<K> | undefined {
    return this.#stores[kind].get(name);
  }

  put<K extends ResourceKind>(kind: K, entry: DumpEntry<K>): void {
    this.#stores[kind].set(entry.name, entry);
  }

  setState<K extends ResourceKind>(kind: K, name: string, state: DumpEntry<K>["state"]): void {
    const entry = this.#stores[kind].get(name);
    if (entry !== undefined) this.#stores[kind].set(name, { ...entry, state });
  }

  /** The newest version was refused; the one in force stays. */
  refuse<K extends ResourceKind>(kind: K, refused: DumpEntry<K>, refusals: readonly ResourceRefusal[]): void {
    const refusal = refusals.map((one) => `${one.path}: ${one.message} (${one.typeUrl})`).join("; ");
    const inForce = this.#stores[kind].get(refused.name);
    if (inForce !== undefined && inForce.state !== "refused")
      this.#stores[kind].set(refused.name, { ...inForce, refusal });
    else this.#stores[kind].set(refused.name, { ...refused, state: "refused", refusal });
  }

  delete(kind: ResourceKind, name: string): void {
    this.#stores[kind].delete(name);
  }

  list<K extends ResourceKind>(kind: K): readonly DumpEntry<K>[] {
    return [...this.#stores[kind].values()];
  }
}

export function entryOf<K extends ResourceKind>(
  name: string,
  resource: ResourceTypes[K],
  about: { readonly version: string; readonly origin: "static" | "dynamic"; readonly nowMs: number },
): DumpEntry<K> {
  return {
    name,
    version: about.version,
    origin: about.origin,
    state: "active",
    lastUpdatedMs: about.nowMs,
    resource,
    refusal: undefined,
  };
}
