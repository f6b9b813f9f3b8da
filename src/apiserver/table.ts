// What `kubectl get` prints: rows that the server has already put into words.

import { formatAge } from "../api/age.ts";
import { ageColumn, nameColumn } from "../api/columns.ts";
import type { Column, Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";

export type IncludeObject = "None" | "Metadata" | "Object";

export interface TableOptions {
  readonly nowMs: number;
  readonly includeObject: IncludeObject;
  /** The object as its version shows it. */
  readonly present: (object: KubeObject) => unknown;
}

function tableColumns(kind: Kind): readonly Column<KubeObject>[] {
  if (kind.origin === "builtin") return kind.columns;
  const named = kind.columns.some((column) => column.name === "Name") ? kind.columns : [nameColumn, ...kind.columns];
  return kind.columns.length === 0 ? [nameColumn, ageColumn] : named;
}

export function toTable(
  kind: Kind,
  objects: readonly KubeObject[],
  metadata: Readonly<Record<string, unknown>>,
  options: TableOptions,
): object {
  const columns = tableColumns(kind);
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata,
    columnDefinitions: columns.map((column) => ({
      name: column.name,
      type: column.type === "integer" ? "integer" : "string",
      format: column.name === "Name" && column === columns[0] ? "name" : "",
      description: column.name,
      priority: column.priority,
    })),
    rows: objects.map((object) => ({
      cells: columns.map((column) => cell(column, object, options.nowMs)),
      object: rowObject(object, options),
    })),
  };
}

function cell(column: Column<KubeObject>, object: KubeObject, nowMs: number): string | number {
  const value = column.value(object);
  if (column.type === "date") return value === null ? "<unknown>" : ageSince(String(value), nowMs);
  if (value === null) return "";
  if (typeof value === "number") return value;
  return value.replace(/<(\d{4}-\d\d-\d\dT[^>]*)>/g, (_, time: string) => ageSince(time, nowMs));
}

function ageSince(time: string, nowMs: number): string {
  const parsed = Date.parse(time);
  return Number.isNaN(parsed) ? "<unknown>" : formatAge(nowMs - parsed);
}

function rowObject(object: KubeObject, options: TableOptions): unknown {
  if (options.includeObject === "None") return undefined;
  if (options.includeObject === "Object") return options.present(object);
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata };
}
