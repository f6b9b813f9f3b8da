// Where in a resource the compiler is, and what it refused: every refusal names the field's path and the message that holds it.

import type { ResourceRefusal } from "../subscribe/source.ts";
import { NO_RUNTIME, type RuntimeKeys } from "./runtime.ts";

/** A protobuf message as ts-proto gives it: every field is there, with its default where the sender left it out. */
export type Message = object;

export class Field {
  readonly resource: string;
  readonly path: string;
  readonly typeUrl: string;
  /** What the runtime says of keys that the resource names. */
  readonly runtime: RuntimeKeys;
  readonly #refusals: ResourceRefusal[];

  constructor(options: {
    resource: string;
    path: string;
    typeUrl: string;
    refusals: ResourceRefusal[];
    runtime: RuntimeKeys;
  }) {
    this.resource = options.resource;
    this.path = options.path;
    this.typeUrl = options.typeUrl;
    this.#refusals = options.refusals;
    this.runtime = options.runtime;
  }

  static root(resource: string, typeUrl: string, runtime: RuntimeKeys = NO_RUNTIME): Field {
    return new Field({ resource, path: "", typeUrl, refusals: [], runtime });
  }

  get refusals(): readonly ResourceRefusal[] {
    return this.#refusals;
  }

  at(name: string | number): Field {
    const step = typeof name === "number" ? `[${name}]` : snakeCase(name);
    const path = this.path === "" || typeof name === "number" ? `${this.path}${step}` : `${this.path}.${step}`;
    return this.#with(path, this.typeUrl);
  }

  /** The same place, inside a message of another type. */
  as(typeUrl: string): Field {
    return this.#with(this.path, typeUrl);
  }

  refuse(message: string): void {
    this.#refusals.push({ resource: this.resource, path: this.path, typeUrl: this.typeUrl, message });
  }

  /** Refuses every field that carries a value and is not among those that are honoured (or known to be harmless). */
  only(message: Message, honoured: ReadonlySet<string>): void {
    for (const [key, value] of Object.entries(message)) {
      if (honoured.has(key) || isDefault(value)) continue;
      this.at(key).refuse("weft's proxy can't honour this field; remove it, or run this workload with Envoy");
    }
  }

  #with(path: string, typeUrl: string): Field {
    return new Field({ resource: this.resource, path, typeUrl, refusals: this.#refusals, runtime: this.runtime });
  }
}

export function fields(names: string): ReadonlySet<string> {
  return new Set(names.split(/\s+/).filter((name) => name !== ""));
}

function isDefault(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (value instanceof Uint8Array) return value.length === 0;
  return (
    typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype && Object.keys(value).length === 0
  );
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replace(/([a-z])5xx/, "$1_5xx");
}
