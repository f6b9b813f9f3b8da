// Sets of fields, as `metadata.managedFields` names them: which fields an object has, and one writer's part of them.
// A path is its elements (`f:spec`, `k:{"name":"web"}`, `v:"x"`) joined by a character that no element holds.

import type { SchemaNode } from "../api/validate.ts";
import { canonicalJson } from "../base/equal.ts";
import { isRecord } from "../base/json.ts";

const SEPARATOR = "\u0000";

export type FieldPaths = ReadonlySet<string>;

/** The nested form on the wire: `{"f:spec":{"f:replicas":{}}}`; "." says that the node itself is a member. */
export interface FieldsV1 {
  readonly [element: string]: FieldsV1;
}

/** What the server alone writes, and what says which object it is, nobody owns. */
const UNOWNED = new Set(
  [
    "apiVersion",
    "kind",
    ...[
      "name",
      "namespace",
      "generateName",
      "uid",
      "resourceVersion",
      "generation",
      "creationTimestamp",
      "deletionTimestamp",
      "deletionGracePeriodSeconds",
      "managedFields",
      "selfLink",
    ].map((field) => `metadata${SEPARATOR}f:${field}`),
  ].map((path) => `f:${path}`),
);

/** Paths of the fields that somebody can own, each with its value in canonical form; an item of a keyed list has a path of its own. */
export function fieldsOf(object: unknown, schema: SchemaNode): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  walk(object, { schema, path: "", fields });
  return fields;
}

interface Walk {
  readonly schema: SchemaNode | undefined;
  readonly path: string;
  readonly fields: Map<string, string>;
}

function walk(value: unknown, at: Walk): void {
  if (UNOWNED.has(at.path) || value === undefined) return;
  const list = Array.isArray(value) ? listKind(at.schema) : undefined;
  if (isRecord(value) && !isAtomic(at.schema) && Object.keys(value).length > 0) {
    for (const [key, inner] of Object.entries(value)) {
      walk(inner, { ...at, schema: childSchema(at.schema, key), path: join(at.path, `f:${key}`) });
    }
  } else if (Array.isArray(value) && list !== undefined && list.kind !== "atomic") {
    for (const item of value) {
      const path = join(at.path, itemElement(item, list));
      at.fields.set(path, list.kind === "set" ? canonicalJson(item) : "");
      if (list.kind === "map") walk(item, { ...at, schema: at.schema?.items, path });
    }
  } else if (at.path !== "") at.fields.set(at.path, canonicalJson(value));
}

export type ListKind =
  | { readonly kind: "atomic" }
  | { readonly kind: "set" }
  | { readonly kind: "map"; readonly keys: readonly string[]; readonly items: SchemaNode | undefined };

/** How writers share a list: as a whole, value by value, or item by item, found by keys. */
export function listKind(schema: SchemaNode | undefined): ListKind {
  const keys = schema?.["x-kubernetes-list-map-keys"];
  const type = schema?.["x-kubernetes-list-type"];
  if (type === "map" && keys !== undefined) return { kind: "map", keys, items: schema?.items };
  if (type === "set") return { kind: "set" };
  if (type !== undefined || schema?.["x-kubernetes-patch-strategy"] !== "merge") return { kind: "atomic" };
  const mergeKey = schema["x-kubernetes-patch-merge-key"];
  return mergeKey === undefined ? { kind: "set" } : { kind: "map", keys: keys ?? [mergeKey], items: schema.items };
}

function isAtomic(schema: SchemaNode | undefined): boolean {
  return schema?.["x-kubernetes-map-type"] === "atomic";
}

export function childSchema(schema: SchemaNode | undefined, key: string): SchemaNode | undefined {
  const known = schema?.properties?.[key];
  if (known !== undefined) return known;
  return typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;
}

/** `k:{"containerPort":80,"protocol":"TCP"}`; a key that the item leaves out has its default. */
export function itemElement(item: unknown, list: ListKind): string {
  if (list.kind !== "map") return `v:${canonicalJson(item)}`;
  const entries = list.keys.map((key) => {
    const value = isRecord(item) ? item[key] : undefined;
    return [key, value ?? list.items?.properties?.[key]?.default];
  });
  return `k:${canonicalJson(Object.fromEntries(entries.filter(([, value]) => value !== undefined)))}`;
}

export function join(path: string, element: string): string {
  return path === "" ? element : `${path}${SEPARATOR}${element}`;
}

export function elementsOf(path: string): readonly string[] {
  return path.split(SEPARATOR);
}

export function isWithin(path: string, ancestor: string): boolean {
  return path === ancestor || path.startsWith(`${ancestor}${SEPARATOR}`);
}

/** `.spec.template.spec.containers[name="web"].image`, as refusals name fields. */
export function describePath(path: string): string {
  return elementsOf(path)
    .map((element) => {
      const text = element.slice(2);
      if (element.startsWith("f:")) return `.${text}`;
      if (!element.startsWith("k:")) return `[=${text}]`;
      const pairs = text
        .slice(1, -1)
        .split(/,(?=")/)
        .map((pair) => pair.replace(/^"([^"]*)":/, "$1="));
      return `[${pairs.join(",")}]`;
    })
    .join("");
}

interface MutableFields {
  [element: string]: MutableFields;
}

export function toFieldsV1(paths: Iterable<string>): FieldsV1 {
  const root: MutableFields = {};
  const members = [...paths].sort();
  for (const path of members) {
    let node = root;
    for (const element of elementsOf(path)) {
      const next = node[element] ?? {};
      node[element] = next;
      node = next;
    }
    // A keyed item is a member besides what is in it.
    if (elementsOf(path).at(-1)?.startsWith("k:") === true) node["."] = {};
  }
  return root;
}

export function fromFieldsV1(fields: unknown): FieldPaths {
  const paths = new Set<string>();
  collect(fields, "", paths);
  return paths;
}

function collect(node: unknown, path: string, paths: Set<string>): void {
  if (!isRecord(node)) return;
  const entries = Object.entries(node);
  if (entries.length === 0 && path !== "") paths.add(path);
  for (const [element, inner] of entries) {
    if (element === ".") paths.add(path);
    else collect(inner, join(path, element), paths);
  }
}
