// Columns that many kinds share. In a cell's text a time in angle brackets, `<2026-01-31T12:00:00Z>`, becomes an age when printed.

import { isRecord } from "../base/json.ts";
import type { Column } from "./kind.ts";
import type { KubeObject } from "./object.ts";

export const nameColumn: Column<KubeObject> = {
  name: "Name",
  type: "string",
  priority: 0,
  value: (object) => object.metadata.name,
};

export const ageColumn: Column<KubeObject> = {
  name: "Age",
  type: "date",
  priority: 0,
  jsonPath: ".metadata.creationTimestamp",
  value: (object) => object.metadata.creationTimestamp ?? null,
};

/** What stands at a path, as Kubernetes prints a custom resource's column: a list as JSON. */
export function pathColumn(name: string, jsonPath: string): Column<KubeObject> {
  const keys = jsonPath.split(".").slice(1);
  return {
    name,
    type: "string",
    priority: 0,
    jsonPath,
    value: (object) => {
      const found = keys.reduce<unknown>((inner, key) => (isRecord(inner) ? inner[key] : undefined), object);
      if (found === undefined || found === null) return null;
      return typeof found === "string" || typeof found === "number" ? found : JSON.stringify(found);
    },
  };
}

/** `a=1,b=2`, or `<none>`. */
export function mapCell(map: Readonly<Record<string, string>> | undefined): string {
  const entries = Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? "<none>" : entries.map(([key, value]) => `${key}=${value}`).join(",");
}
