// Who wrote which field of an object: kept with every write over HTTPS, so that writers who declare only their part
// (server-side apply) are told when they would overwrite another's.

import type { ManagedFields, ObjectMeta } from "../api/object.ts";
import type { SchemaNode } from "../api/validate.ts";
import { deepEqual } from "../base/equal.ts";
import { isRecord } from "../base/json.ts";
import { type FieldPaths, fieldsOf, fromFieldsV1, isWithin, toFieldsV1 } from "./field-set.ts";
import { MANAGERS_MAX } from "./limits.ts";

export interface Writer {
  readonly name: string;
  readonly apiVersion: string;
  /** An applier owns what it declares, every other writer what it changes. */
  readonly declared: FieldPaths | undefined;
}

export interface ManagedWrite {
  readonly schema: SchemaNode;
  readonly before: object | undefined;
  readonly after: object;
  readonly subresource: "status" | undefined;
  readonly writer: Writer;
  readonly now: string;
}

const STATUS = "f:status";

/** The entries after a write. */
export function managersAfter(
  current: readonly ManagedFields[] | undefined,
  write: ManagedWrite,
): readonly ManagedFields[] | undefined {
  const before = fieldsOf(write.before ?? {}, write.schema);
  const after = fieldsOf(write.after, write.schema);
  const concerns = (path: string): boolean => (write.subresource === "status") === isWithin(path, STATUS);
  const changed = new Set([...after].filter(([path, text]) => concerns(path) && before.get(path) !== text).map(first));
  const owned = write.writer.declared;
  const entries = current ?? [];
  const own = entries.find((entry) => isWriter(entry, write));
  const stays = (path: string): boolean => after.has(path);
  const held = own === undefined ? [] : [...pathsOf(own)].filter(stays);
  const mine = owned === undefined ? [...new Set([...held, ...changed])] : [...owned].filter(stays);
  const others = (entry: ManagedFields): readonly ManagedFields[] =>
    withPaths(
      entry,
      [...pathsOf(entry)].filter((path) => stays(path) && !changed.has(path)),
    );
  const next = entries.flatMap((entry) => (entry === own ? withPaths(own, mine, write.now) : others(entry)));
  if (own === undefined) next.push(...withPaths(freshEntry(write), mine));
  return next.length === 0 ? undefined : merged(next);
}

function first([path]: readonly [string, string]): string {
  return path;
}

/** Old writers are counted as one once there are too many, the oldest first. */
function merged(entries: readonly ManagedFields[]): readonly ManagedFields[] {
  const updates = entries.filter((entry) => entry.operation === "Update" && entry.subresource === undefined);
  const surplus = updates.length - MANAGERS_MAX;
  if (surplus <= 0) return entries;
  const old = new Set([...updates].sort((a, b) => ((a.time ?? "") < (b.time ?? "") ? -1 : 1)).slice(0, surplus + 1));
  const [template] = old;
  if (template === undefined) return entries;
  const paths = [...old].flatMap((entry) => [...pathsOf(entry)]);
  const joined: ManagedFields = { ...template, manager: "ancient-changes", fieldsV1: toFieldsV1(paths) };
  return [joined, ...entries.filter((entry) => !old.has(entry))];
}

function isWriter(entry: ManagedFields, { writer, subresource }: ManagedWrite): boolean {
  return (
    entry.manager === writer.name &&
    entry.operation === operationOf(writer) &&
    entry.subresource === subresource &&
    (entry.operation === "Apply" || entry.apiVersion === writer.apiVersion)
  );
}

function operationOf(writer: Writer): ManagedFields["operation"] {
  return writer.declared === undefined ? "Update" : "Apply";
}

function freshEntry({ writer, subresource, now }: ManagedWrite): ManagedFields {
  return {
    manager: writer.name,
    operation: operationOf(writer),
    apiVersion: writer.apiVersion,
    time: now,
    fieldsType: "FieldsV1",
    fieldsV1: {},
    ...(subresource === undefined ? {} : { subresource }),
  };
}

/** No entry when nothing is left of it; the time stays when nothing changed. */
function withPaths(entry: ManagedFields, paths: readonly string[], now?: string): readonly ManagedFields[] {
  if (paths.length === 0) return [];
  const fieldsV1 = toFieldsV1(paths);
  if (deepEqual(fieldsV1, entry.fieldsV1)) return [entry];
  return [{ ...entry, fieldsV1, ...(now === undefined ? {} : { time: now }) }];
}

export function pathsOf(entry: ManagedFields): FieldPaths {
  return fromFieldsV1(entry.fieldsV1);
}

/** What a writer put there itself: undefined when it left the entries alone; an empty list or entry takes them all away. */
export function writtenManagers(given: ObjectMeta, current: ObjectMeta): readonly ManagedFields[] | undefined {
  const entries = given.managedFields;
  if (entries === undefined || deepEqual(entries, current.managedFields)) return undefined;
  return entries.filter((entry) => isRecord(entry.fieldsV1) && typeof entry.manager === "string");
}
