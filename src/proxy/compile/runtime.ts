// Runtime values: what `layered_runtime` says of the keys that a configuration names beside its defaults.

import { isRecord } from "../../base/json.ts";

export type RuntimeValue =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "fraction"; readonly text: string; readonly share: number };

/** What the compiler asks: each key that it asks for is one that the resource depends on. */
export interface RuntimeKeys {
  get(key: string): RuntimeValue | undefined;
}

export const NO_RUNTIME: RuntimeKeys = { get: () => undefined };

/** Nesting of a layer's structs beyond this is cut off. */
const DEPTH_MAX = 16;

/** A layer's struct with its nested keys joined by dots; a fraction (numerator, denominator) is one value. */
export function flattenLayer(layer: unknown): ReadonlyMap<string, RuntimeValue> {
  const values = new Map<string, RuntimeValue>();
  const visit = (value: unknown, path: string, depth: number): void => {
    if (isRecord(value) && depth < DEPTH_MAX && !("numerator" in value) && !("denominator" in value)) {
      for (const [key, inner] of Object.entries(value)) visit(inner, path === "" ? key : `${path}.${key}`, depth + 1);
    } else if (path !== "") values.set(path, runtimeValue(value));
  };
  visit(layer, "", 0);
  return values;
}

export function runtimeValue(value: unknown): RuntimeValue {
  if (!isRecord(value)) return { kind: "text", text: value === null ? "" : String(value) };
  const { numerator, denominator } = value;
  const of = denominator === "MILLION" ? 1_000_000 : denominator === "TEN_THOUSAND" ? 10_000 : 100;
  return { kind: "fraction", text: JSON.stringify(value), share: clamp(Number(numerator ?? 0) / of) };
}

export function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}
