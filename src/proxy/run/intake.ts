// A resource compiled and applied, or refused as a whole: then what was in force stays so. Remembers which of them asked for which key of the runtime.

import type { DumpEntry } from "../admin/view.ts";
import { Field } from "../compile/field.ts";
import type { ResourceKind, ResourceRefusal } from "../subscribe/source.ts";
import type { Resources } from "./resources.ts";
import { type Runtime, recording } from "./runtime.ts";

export interface Taking<T> {
  readonly typeUrl: string;
  compile(field: Field): T;
  apply(compiled: T): void;
}

export class Intake {
  readonly #resources: Resources;
  readonly #runtime: Runtime;
  /** Keys of the runtime that a resource was compiled with, by its kind and name. */
  readonly #runtimeKeys = new Map<string, ReadonlySet<string>>();

  constructor(resources: Resources, runtime: Runtime) {
    this.#resources = resources;
    this.#runtime = runtime;
  }

  take<K extends ResourceKind, T>(kind: K, entry: DumpEntry<K>, how: Taking<T>): readonly ResourceRefusal[] {
    const asked = new Set<string>();
    this.#runtimeKeys.set(`${kind} ${entry.name}`, asked);
    const field = Field.root(entry.name, how.typeUrl, recording(this.#runtime, asked));
    const compiled = how.compile(field);
    if (field.refusals.length > 0) {
      this.#resources.refuse(kind, entry, field.refusals);
      return field.refusals;
    }
    this.#resources.put(kind, entry);
    how.apply(compiled);
    return [];
  }

  /** Those in force that were compiled with one of these keys. */
  dependent<K extends ResourceKind>(kind: K, keys: readonly string[]): readonly DumpEntry<K>[] {
    return this.#resources.list(kind).filter(({ name, state }) => {
      const asked = this.#runtimeKeys.get(`${kind} ${name}`);
      return state === "active" && asked !== undefined && keys.some((key) => asked.has(key));
    });
  }
}
