// Manifests as the source, for work without a cluster: documents to one resource set, with what is wrong in them.

import { Value } from "typebox/value";
import type { KubeObject } from "../api/object.ts";
import { isRecord, parseYamlDocuments } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { resourceNameOf, SOURCES } from "./kinds.ts";
import type { ResourceName, ResourceSet, ResourceTypes } from "./resources.ts";
import { ResourceStore } from "./store.ts";

export interface FileSet {
  readonly resources: ResourceSet;
  /** Kinds that the mesh doesn't read, with how many there were. */
  readonly ignored: ReadonlyMap<string, number>;
}

/** Every document of the text; what has no namespace is in `default`. */
export function readManifests(text: string, file = "input"): Result<FileSet, string> {
  const parsed = parseYamlDocuments(text);
  if (!parsed.ok) return err(`${file}: ${parsed.error}`);
  const store = new ResourceStore();
  const ignored = new Map<string, number>();
  for (const { value, line } of parsed.value) {
    const object = toObject(value);
    if (object === undefined)
      return err(`${file}:${line}: not a Kubernetes object: apiVersion, kind and metadata.name are required`);
    const name = resourceNameOf(object);
    if (name === undefined) {
      ignored.set(object.kind, (ignored.get(object.kind) ?? 0) + 1);
      continue;
    }
    const problem = put(store, name, object);
    if (problem !== undefined) return err(`${file}:${line}: ${object.kind} ${object.metadata.name}: ${problem}`);
  }
  return ok({ resources: store.take(), ignored });
}

/** Puts what passes the kind's schema and rules; the first thing that is wrong otherwise. */
function put<K extends ResourceName>(store: ResourceStore, name: K, object: KubeObject): string | undefined {
  const { kind } = SOURCES[name];
  const [structural] = Value.Errors(kind.schema, object);
  if (structural !== undefined) {
    return `${structural.instancePath.slice(1).replaceAll("/", ".")}: ${structural.message}`;
  }
  // The schema has just shown that it is one.
  const typed = object as ResourceTypes[K];
  const error = kind.check?.(typed, undefined).find((issue) => issue.severity === "error");
  if (error !== undefined) return `${error.path}: ${error.message}`;
  store.put(name, kind.applyDefaults?.(typed) ?? typed);
  return undefined;
}

function toObject(value: unknown): KubeObject | undefined {
  if (!isRecord(value) || !isRecord(value["metadata"])) return undefined;
  const { apiVersion, kind, metadata } = value;
  if (typeof apiVersion !== "string" || typeof kind !== "string" || !isRecord(metadata)) return undefined;
  if (typeof metadata["name"] !== "string") return undefined;
  const namespace = kind === "Namespace" ? {} : { namespace: String(metadata["namespace"] ?? "default") };
  return { ...value, apiVersion, kind, metadata: { ...metadata, name: metadata["name"], ...namespace } };
}
