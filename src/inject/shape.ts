// Reading untyped Kubernetes JSON: what is absent or of another type reads as empty.

import { isRecord } from "../base/json.ts";

export type Json = Readonly<Record<string, unknown>>;

export function recordAt(value: unknown, key: string): Json {
  const inner = isRecord(value) ? value[key] : undefined;
  return isRecord(inner) ? inner : {};
}

export function recordsAt(value: unknown, key: string): readonly Json[] {
  const inner = isRecord(value) ? value[key] : undefined;
  return Array.isArray(inner) ? inner.filter(isRecord) : [];
}

export function stringAt(value: unknown, key: string): string | undefined {
  const inner = isRecord(value) ? value[key] : undefined;
  return typeof inner === "string" ? inner : undefined;
}

export function numberAt(value: unknown, key: string): number | undefined {
  const inner = isRecord(value) ? value[key] : undefined;
  return typeof inner === "number" ? inner : undefined;
}

/** Labels and annotations: only their string entries. */
export function stringsAt(value: unknown, key: string): Readonly<Record<string, string>> {
  const entries = Object.entries(recordAt(value, key));
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}
