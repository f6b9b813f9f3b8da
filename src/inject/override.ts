// A container named istio-proxy that the pod already has changes the template field by field.

import { isRecord } from "../base/json.ts";
import type { Json } from "./shape.ts";

/** The lists of a container that Kubernetes merges by a key; other lists are replaced. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  env: "name",
  ports: "containerPort",
  volumeMounts: "mountPath",
  volumeDevices: "devicePath",
};

/** `auto` is Istio's word for "the image that the template has". */
export function overrideContainer(template: Json, override: Json): Json {
  const merged = mergeRecords(template, override);
  return override["image"] === "auto" || override["image"] === undefined
    ? { ...merged, image: template["image"] }
    : merged;
}

function mergeRecords(base: Json, change: Json): Json {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(change)) {
    if (value === null || value === undefined) continue;
    result[key] = mergeField(key, base[key], value);
  }
  return result;
}

function mergeField(key: string, base: unknown, change: unknown): unknown {
  if (isRecord(base) && isRecord(change)) return mergeRecords(base, change);
  const mergeKey = MERGE_KEYS[key];
  if (mergeKey !== undefined && Array.isArray(base) && Array.isArray(change)) return mergeList(base, change, mergeKey);
  return change;
}

function mergeList(base: readonly unknown[], change: readonly unknown[], mergeKey: string): readonly unknown[] {
  const keyOf = (entry: unknown): unknown => (isRecord(entry) ? entry[mergeKey] : undefined);
  const replaced = base.map((entry) => change.find((other) => keyOf(other) === keyOf(entry)) ?? entry);
  const added = change.filter((entry) => !base.some((other) => keyOf(other) === keyOf(entry)));
  return [...replaced, ...added];
}
