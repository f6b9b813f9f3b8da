// The runtime's layers while the proxy runs: the later one wins, and the admin interface changes the one that is its own.

import { RUNTIME_KEYS_MAX } from "../admin/limits.ts";
import type { RuntimeView } from "../admin/view.ts";
import type { RuntimeLayerConfig } from "../compile/bootstrap.ts";
import { type RuntimeKeys, type RuntimeValue, runtimeValue } from "../compile/runtime.ts";

export class Runtime implements RuntimeKeys {
  readonly #layers: readonly { readonly name: string; readonly admin: boolean; values: Map<string, RuntimeValue> }[];

  constructor(layers: readonly RuntimeLayerConfig[]) {
    this.#layers = layers.map(({ name, kind, values }) => {
      return { name, admin: kind === "admin", values: new Map(values) };
    });
  }

  get(key: string): RuntimeValue | undefined {
    return this.#layers.findLast(({ values }) => values.has(key))?.values.get(key);
  }

  /** An empty value takes back what was set. The refusal says why nothing was changed. */
  modify(changes: ReadonlyMap<string, string>): string | undefined {
    const own = this.#layers.find(({ admin }) => admin);
    if (own === undefined) return "No admin layer specified";
    const values = new Map(own.values);
    for (const [key, text] of changes) {
      if (text === "") values.delete(key);
      else values.set(key, runtimeValue(text));
    }
    if (values.size > RUNTIME_KEYS_MAX) return `more than ${RUNTIME_KEYS_MAX} keys`;
    own.values = values;
    return undefined;
  }

  get overrides(): boolean {
    return this.#layers.some(({ admin, values }) => admin && values.size > 0);
  }

  get layerCount(): number {
    return this.#layers.length;
  }

  get keyCount(): number {
    return new Set(this.#layers.flatMap(({ values }) => [...values.keys()])).size;
  }

  view(): RuntimeView {
    const entries = new Map<string, { readonly layerValues: readonly string[]; readonly finalValue: string }>();
    for (const key of new Set(this.#layers.flatMap(({ values }) => [...values.keys()]))) {
      const layerValues = this.#layers.map(({ values }) => values.get(key)?.text ?? "");
      entries.set(key, { layerValues, finalValue: this.get(key)?.text ?? "" });
    }
    return { layers: this.#layers.map(({ name }) => name), entries };
  }
}

/** What a resource asked for while it was compiled is what it depends on. */
export function recording(keys: RuntimeKeys, asked: Set<string>): RuntimeKeys {
  return {
    get(key) {
      asked.add(key);
      return keys.get(key);
    },
  };
}
