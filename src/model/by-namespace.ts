// Policies by their namespaces, oldest first: the order in which one of several that cover the same is chosen.

import type { KubeObject } from "../api/object.ts";
import { matchesLabels } from "./endpoint.ts";
import { byAge, type Finding, formatRef, refOf } from "./finding.ts";
import type { MeshConfig } from "./mesh-config.ts";

export type ByNamespace<T> = ReadonlyMap<string, readonly T[]>;

export function byNamespace<T extends KubeObject>(resources: Iterable<T>): ByNamespace<T> {
  const index = new Map<string, T[]>();
  for (const resource of [...resources].sort(byAge)) {
    const namespace = resource.metadata.namespace ?? "default";
    const list = index.get(namespace);
    if (list === undefined) index.set(namespace, [resource]);
    else list.push(resource);
  }
  return index;
}

/** What a resource covers that only one may cover; undefined where it stands beside others. */
export type Coverage<T> = (resource: T) => { readonly key: string; readonly words: string } | undefined;

/** A finding for each resource whose coverage an older one of its namespace has. */
export function rivalFindings<T extends KubeObject>(
  index: ByNamespace<T>,
  path: string,
  coverage: Coverage<T>,
): readonly Finding[] {
  return [...index.values()].flatMap((list) => {
    const owners = new Map<string, T>();
    return list.flatMap((resource): readonly Finding[] => {
      const covered = coverage(resource);
      if (covered === undefined) return [];
      const owner = owners.get(covered.key);
      if (owner === undefined) {
        owners.set(covered.key, resource);
        return [];
      }
      const message = `${formatRef(refOf(owner))} already covers ${covered.words}, is older (or first by name) and wins`;
      return [{ resource: refOf(resource), type: "conflict", path, message }];
    });
  });
}

interface Selective extends KubeObject {
  readonly spec?:
    | {
        readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> | undefined } | undefined;
        readonly targetRef?: unknown;
        readonly targetRefs?: unknown;
      }
    | undefined;
}

export interface Subject {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Those of the root namespace and of the workload's own that select it. */
export function selecting<T extends Selective>(
  index: ByNamespace<T>,
  workload: Subject,
  mesh: MeshConfig,
): readonly T[] {
  const namespaces = new Set([mesh.rootNamespace, workload.namespace]);
  return [...namespaces]
    .flatMap((namespace) => index.get(namespace) ?? [])
    .filter(({ spec }) => spec?.targetRef === undefined && spec?.targetRefs === undefined)
    .filter(({ spec }) => matchesLabels(spec?.selector?.matchLabels, workload.labels));
}

export const WHOLE_NAMESPACE = { key: "", words: "the whole namespace" } as const;
