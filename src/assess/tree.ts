// Reading objects of any kind: what is absent or of another type reads as empty.

import { isRecord } from "../base/json.ts";

export type Tree = Readonly<Record<string, unknown>>;

export function treeAt(value: unknown, key: string): Tree {
  const inner = isRecord(value) ? value[key] : undefined;
  return isRecord(inner) ? inner : {};
}

export function treesAt(value: unknown, key: string): readonly Tree[] {
  const inner = isRecord(value) ? value[key] : undefined;
  return Array.isArray(inner) ? inner.filter(isRecord) : [];
}

export function textAt(value: unknown, key: string): string {
  const inner = isRecord(value) ? value[key] : undefined;
  return typeof inner === "string" ? inner : "";
}

export function textsAt(value: unknown, key: string): Readonly<Record<string, string>> {
  const entries = Object.entries(treeAt(value, key));
  return Object.fromEntries(entries.flatMap(([name, text]) => (typeof text === "string" ? [[name, text]] : [])));
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
};

/** `128Mi`; undefined where it is no quantity. */
export function memoryMb(value: unknown): number | undefined {
  const [, amount = "", unit = ""] = /^([\d.]+)(Ki|Mi|Gi|k|M|G)?$/.exec(String(value ?? "")) ?? [];
  return amount === "" ? undefined : (Number(amount) * (UNITS[unit] ?? 1)) / 1024 ** 2;
}
