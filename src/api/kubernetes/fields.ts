// The words that the built-in kinds' schemas are written in: JSON Schema with its static type beside it, read-only.

import { type Static, type TSchema, type TUnsafe, Type } from "typebox";

type Fields = Readonly<Record<string, TSchema>>;

type Struct<R extends Fields, O extends Fields> = {
  readonly [K in keyof R]: Static<R[K]>;
} & { readonly [K in keyof O]?: Static<O[K]> };

/** An object with these fields and no others. */
export function struct<R extends Fields, O extends Fields>(required: R, optional: O): TUnsafe<Struct<R, O>> {
  return Type.Unsafe<Struct<R, O>>({
    type: "object",
    required: Object.keys(required),
    properties: { ...required, ...optional },
  });
}

/** A list that a patch replaces as a whole. */
export function list<T extends TSchema>(items: T): TUnsafe<readonly Static<T>[]> {
  return Type.Unsafe<readonly Static<T>[]>({ type: "array", items });
}

/** A list whose items a strategic merge patch finds by `mergeKey`, and server-side apply by `keys` where these are more. */
export function mergeList<T extends TSchema>(
  items: T,
  mergeKey: string,
  keys: readonly string[] = [mergeKey],
): TUnsafe<readonly Static<T>[]> {
  return Type.Unsafe<readonly Static<T>[]>({
    type: "array",
    items,
    "x-kubernetes-patch-strategy": "merge",
    "x-kubernetes-patch-merge-key": mergeKey,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": keys,
  });
}

/** A list of scalars that a strategic merge patch adds to. */
export function mergeSet<T extends TSchema>(items: T): TUnsafe<readonly Static<T>[]> {
  return Type.Unsafe<readonly Static<T>[]>({ type: "array", items, "x-kubernetes-patch-strategy": "merge" });
}

export function dict<T extends TSchema>(values: T): TUnsafe<Readonly<Record<string, Static<T>>>> {
  return Type.Unsafe<Readonly<Record<string, Static<T>>>>({ type: "object", additionalProperties: values });
}

export function oneOf<const V extends readonly string[]>(...values: V): TUnsafe<V[number]> {
  return Type.Unsafe<V[number]>({ type: "string", enum: [...values] });
}

/** Owned by one writer as a whole: half of one selector and half of another would select something nobody meant. */
export function atomic<T extends TSchema>(schema: T): T {
  return { ...schema, "x-kubernetes-map-type": "atomic" };
}

/** What an absent field stands for where it is a key of a list. */
export function withDefault<T extends TSchema>(schema: T, value: Static<T>): T {
  return { ...schema, default: value };
}

/** Marks a struct of which a patch keeps only the fields it names (a union such as Deployment's strategy). */
export function retainKeys<T extends TSchema>(schema: T): T {
  return { ...schema, "x-kubernetes-patch-strategy": "retainKeys" };
}

export const text = Type.Unsafe<string>({ type: "string" });
export const flag = Type.Unsafe<boolean>({ type: "boolean" });
export const int32 = Type.Unsafe<number>({ type: "integer", format: "int32" });
export const int64 = Type.Unsafe<number>({ type: "integer", format: "int64" });
export const time = Type.Unsafe<string>({ type: "string", format: "date-time" });
export const bytes = Type.Unsafe<string>({ type: "string", format: "byte" });
/** `500m`, `128Mi`; a bare number in the manifest is stored as text. */
export const quantity = Type.Unsafe<string>({ "x-kubernetes-quantity": true });
export const intOrString = Type.Unsafe<number | string>({ "x-kubernetes-int-or-string": true });
/** Anything at all, kept as it is. */
export const anything = Type.Unsafe<Readonly<Record<string, unknown>>>({
  "x-kubernetes-preserve-unknown-fields": true,
});

export const texts = list(text);
export const textMap = dict(text);
export const quantities = dict(quantity);

const ownerReference = struct(
  { apiVersion: text, kind: text, name: text, uid: text },
  { controller: flag, blockOwnerDeletion: flag },
);

/** metadata, of objects and of pod templates. */
export const objectMeta = struct(
  {},
  {
    name: text,
    generateName: text,
    namespace: text,
    selfLink: text,
    uid: text,
    resourceVersion: text,
    generation: int64,
    creationTimestamp: time,
    deletionTimestamp: time,
    deletionGracePeriodSeconds: int64,
    labels: textMap,
    annotations: textMap,
    ownerReferences: mergeList(ownerReference, "uid"),
    finalizers: mergeSet(text),
    managedFields: list(anything),
  },
);

const selectorRequirement = struct({ key: text, operator: text }, { values: texts });
export const labelSelector = atomic(struct({}, { matchLabels: textMap, matchExpressions: list(selectorRequirement) }));
export type LabelSelector = Static<typeof labelSelector>;

export const objectReference = struct(
  {},
  {
    kind: text,
    namespace: text,
    name: text,
    uid: text,
    apiVersion: text,
    resourceVersion: text,
    fieldPath: text,
  },
);

export const localReference = struct({}, { name: text });

/** `status.conditions` of the built-in kinds, which say more times than the newer shape. */
export const workloadCondition = struct(
  { type: text, status: oneOf("True", "False", "Unknown") },
  {
    reason: text,
    message: text,
    lastTransitionTime: time,
    lastUpdateTime: time,
    lastProbeTime: time,
    lastHeartbeatTime: time,
    observedGeneration: int64,
  },
);
export type WorkloadCondition = Static<typeof workloadCondition>;
