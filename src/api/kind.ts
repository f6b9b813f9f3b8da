// One definition of a resource kind: the schema gives the static type, the validator, the defaults and the CRD.

import type { TSchema } from "typebox";
import type { Issue } from "./issue.ts";
import type { KubeObject } from "./object.ts";

/** A column of `kubectl get`. */
export interface Column<T> {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  /** 0 is always shown, 1 only with `-o wide`. */
  readonly priority: 0 | 1;
  /** Where the cell's value stands; every column of a custom resource has it. */
  readonly jsonPath?: string;
  /** The cell, from the object alone; dates as RFC 3339, which the printer turns into an age. */
  value(object: T): string | number | null;
}

/** Functions are declared as methods, so that a `Kind<Pod>` can stand where any `Kind` will do. */
export interface Kind<T extends KubeObject = KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  /** The first one is stored and preferred; all are accepted as the same kind. */
  readonly versions: readonly [string, ...string[]];
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Built-in kinds take strategic merge patches; custom resources answer them with 415. */
  readonly origin: "builtin" | "custom";
  readonly subresources: readonly ("status" | "scale" | "log" | "exec" | "attach" | "portforward")[];
  /**
   * JSON Schema of everything beside apiVersion, kind and metadata. Lists of built-in kinds carry
   * `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key`; maps with free keys use `additionalProperties`.
   */
  readonly schema: TSchema;
  /** Where the versions differ: each one's own. */
  readonly schemas?: Readonly<Record<string, TSchema>>;
  /** Where the scale subresource reads and writes; a Deployment's fields when absent. */
  readonly scale?: {
    readonly specReplicasPath: string;
    readonly statusReplicasPath: string;
    readonly labelSelectorPath?: string;
  };
  /** Fields beside name and namespace that a field selector may name. */
  readonly selectableFields?: readonly string[];
  /** Said to everybody who uses this version. */
  readonly deprecation?: string;
  /** Why nothing happens when there is one: it is only kept, and whoever makes one is told. */
  readonly keptOnly?: string;
  /** What it is, in a sentence, for `kubectl explain`. */
  readonly summary?: string;
  readonly columns: readonly Column<T>[];
  /** Fills what the user left out. Pure; called after structural validation on every write. */
  applyDefaults?(object: T): T;
  /** Cross-field rules. `previous` is the stored object on an update. */
  check?(object: T, previous: T | undefined): readonly Issue[];
}

/** `networking.istio.io/v1` or `v1`. */
export function apiVersionOf(kind: Pick<Kind, "group" | "versions">, version: string = kind.versions[0]): string {
  return kind.group === "" ? version : `${kind.group}/${version}`;
}

/** For lists of different kinds. Sound because an object only reaches a kind's functions after the kind's own schema. */
export function eraseKind<T extends KubeObject>(kind: Kind<T>): Kind {
  return kind as unknown as Kind;
}
