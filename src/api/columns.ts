// Columns that many kinds share. In a cell's text a time in angle brackets, `<2026-01-31T12:00:00Z>`, becomes an age when printed.

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
  value: (object) => object.metadata.creationTimestamp ?? null,
};

/** `a=1,b=2`, or `<none>`. */
export function mapCell(map: Readonly<Record<string, string>> | undefined): string {
  const entries = Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? "<none>" : entries.map(([key, value]) => `${key}=${value}`).join(",");
}
