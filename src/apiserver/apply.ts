// Server-side apply: an applier declares its part of an object. What it declares is merged in, what it no longer declares
// and nobody else owns goes, and a field of somebody else with another value is a conflict unless it is forced.

import type { Kind } from "../api/kind.ts";
import type { KubeObject, ManagedFields } from "../api/object.ts";
import { objectSchema, type SchemaNode } from "../api/validate.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import {
  childSchema,
  describePath,
  elementsOf,
  type FieldPaths,
  fieldsOf,
  isWithin,
  itemElement,
  join,
  listKind,
} from "./field-set.ts";
import { pathsOf } from "./managed-fields.ts";
import { type ApiFailure, failure } from "./status.ts";
import { inOrder } from "./strategic-patch.ts";

export interface Declaration {
  readonly manager: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly force: boolean;
}

/** The fields that the declaration names. */
export function declaredPaths(kind: Kind, body: unknown): FieldPaths {
  return new Set(fieldsOf(body, objectSchema(kind)).keys());
}

/** The object with the declaration in it. */
export function applied(kind: Kind, live: KubeObject, declaration: Declaration): Result<unknown, ApiFailure> {
  const schema = objectSchema(kind);
  const declared = fieldsOf(declaration.body, schema);
  const entries = live.metadata.managedFields ?? [];
  const isOwn = (entry: ManagedFields): boolean => entry.manager === declaration.manager && entry.operation === "Apply";
  const others = entries.filter((entry) => !isOwn(entry));
  if (!declaration.force) {
    const present = fieldsOf(live, schema);
    const upgraded = lastApplied(live, declaration, schema);
    const differing = [...declared]
      .filter(([path, text]) => present.get(path) !== text && !isUnchanged(path, upgraded, present))
      .map(([path]) => path);
    const conflict = conflictWith(others, differing);
    if (conflict !== undefined) return err(conflict);
  }
  const merged = merge(live, declaration.body, schema);
  const ownedByOthers = new Set(others.flatMap((entry) => [...pathsOf(entry)]));
  const before = entries.filter(isOwn).flatMap((entry) => [...pathsOf(entry)]);
  const dropped = before.filter((path) => !declared.has(path) && !ownedByOthers.has(path));
  const owned = [...ownedByOthers, ...declared.keys()];
  return ok(dropped.sort(outermostFirst).reduce((object, path) => without(object, { path, owned, schema }), merged));
}

const CLIENT_SIDE_APPLIER = "kubectl";
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

type Fields = ReadonlyMap<string, string>;

/** What kubectl applied by itself before it applies on the server: its own, whoever the entries say wrote it. */
function lastApplied(live: KubeObject, { manager }: Declaration, schema: SchemaNode): Fields {
  const text = manager === CLIENT_SIDE_APPLIER ? live.metadata.annotations?.[LAST_APPLIED] : undefined;
  const parsed = text === undefined ? undefined : parseJson(text);
  return parsed?.ok === true ? fieldsOf(parsed.value, schema) : new Map();
}

function isUnchanged(path: string, before: Fields, present: Fields): boolean {
  const text = before.get(path);
  return text !== undefined && text === present.get(path);
}

/** An item of a keyed list goes as a whole: without its key it would not be found any more. */
function outermostFirst(a: string, b: string): number {
  return elementsOf(a).length - elementsOf(b).length;
}

function conflictWith(others: readonly ManagedFields[], differing: readonly string[]): ApiFailure | undefined {
  const found = others.flatMap((entry) => {
    const owned = pathsOf(entry);
    // An item of a keyed list may be shared: only what is in it can differ.
    const paths = differing.filter((path) => owned.has(path) && elementsOf(path).at(-1)?.startsWith("k:") !== true);
    const using = entry.operation === "Apply" ? "" : ` using ${entry.apiVersion}`;
    return paths.map((path) => ({ who: `${JSON.stringify(entry.manager)}${using}`, field: describePath(path) }));
  });
  const [only, second] = found;
  if (only === undefined) return undefined;
  const list = found.map(({ who, field }) => `conflict with ${who}: ${field}`);
  const count = second === undefined ? "1 conflict" : `${found.length} conflicts`;
  const text = second === undefined ? ` ${list.join("")}` : `\n- ${list.join("\n- ")}`;
  return {
    ...failure(409, "Conflict", `Apply failed with ${count}:${text}`),
    details: {
      causes: found.map(({ who, field }) => ({
        reason: "FieldManagerConflict",
        message: `conflict with ${who}`,
        field,
      })),
    },
  };
}

function merge(live: unknown, declared: unknown, schema: SchemaNode | undefined): unknown {
  if (declared === null || declared === undefined) return live;
  if (isRecord(declared)) {
    if (schema?.["x-kubernetes-map-type"] === "atomic") return declared;
    const result: Record<string, unknown> = isRecord(live) ? { ...live } : {};
    for (const [key, value] of Object.entries(declared))
      result[key] = merge(result[key], value, childSchema(schema, key));
    return result;
  }
  if (!Array.isArray(declared)) return declared;
  const list = listKind(schema);
  if (list.kind === "atomic") return declared;
  const idOf = (item: unknown): string => itemElement(item, list);
  const existing: readonly unknown[] = Array.isArray(live) ? live : [];
  const present = new Map(existing.map((item) => [idOf(item), item]));
  for (const item of declared) {
    const inner = list.kind === "map" ? merge(present.get(idOf(item)), item, schema?.items) : item;
    present.set(idOf(item), inner);
  }
  return inOrder([...present.values()], declared, idOf);
}

interface Removal {
  readonly path: string;
  readonly owned: readonly string[];
  readonly schema: SchemaNode;
}

/** Takes the field out, and what is empty or of nobody's after that: a probe whose handler goes is only defaults. */
function without(object: unknown, removal: Removal): unknown {
  return removeAt(object, { ...removal, elements: elementsOf(removal.path), at: "", node: removal.schema });
}

interface Step extends Removal {
  readonly elements: readonly string[];
  readonly at: string;
  readonly node: SchemaNode | undefined;
}

function removeAt(value: unknown, step: Step): unknown {
  const [element, ...rest] = step.elements;
  if (element === undefined) return step.owned.some((path) => isWithin(path, step.at)) ? value : undefined;
  const at = join(step.at, element);
  if (isRecord(value)) {
    const key = element.slice(2);
    const inner = removeAt(value[key], { ...step, elements: rest, at, node: childSchema(step.node, key) });
    const left = Object.entries(value).flatMap(([name, each]) =>
      name !== key ? [[name, each]] : inner === undefined ? [] : [[name, inner]],
    );
    return settle(Object.fromEntries(left), step);
  }
  if (!Array.isArray(value)) return value;
  const list = listKind(step.node);
  const items = value.flatMap((item: unknown) => {
    if (itemElement(item, list) !== element) return [item];
    const inner = removeAt(item, { ...step, elements: rest, at, node: step.node?.items });
    return inner === undefined ? [] : [inner];
  });
  return items.length === 0 ? undefined : items;
}

/** `spec` itself stays, whatever is in it. */
const TOP_ELEMENTS = 1;

function settle(left: Readonly<Record<string, unknown>>, step: Step): unknown {
  if (step.at === "" || elementsOf(step.at).length <= TOP_ELEMENTS) return left;
  const isStruct = step.node?.properties !== undefined;
  const isKeyed = elementsOf(step.at).at(-1)?.startsWith("k:") === true;
  const isOwned = step.owned.some((path) => isWithin(path, step.at));
  if (isOwned || isKeyed) return left;
  return isStruct || Object.keys(left).length === 0 ? undefined : left;
}
