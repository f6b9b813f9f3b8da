// The building blocks that the schemas of the Istio kinds share.

import { type Static, type TSchema, Type } from "typebox";

export const uint32 = Type.Integer({ minimum: 0, maximum: 4_294_967_295 });
export const int32 = Type.Integer({ minimum: -2_147_483_648, maximum: 2_147_483_647 });
export const portNumber = Type.Integer({ minimum: 0, maximum: 4_294_967_295 });
export const percent = Type.Number({ minimum: 0, maximum: 100 });

/** Go's duration text: `10s`, `1m30s`, `250ms`. */
export const durationText = Type.String();

export const strings = Type.Array(Type.String());

/** An object with free keys, in the form that structural schemas of Kubernetes use. */
export function mapOf<S extends TSchema>(values: S, options: { readonly minProperties?: number } = {}) {
  return Type.Unsafe<Record<string, Static<S>>>({ type: "object", additionalProperties: values, ...options });
}

export function oneOf<const V extends readonly string[]>(values: V) {
  return Type.Unsafe<V[number]>({ type: "string", enum: values });
}

export const labelMap = mapOf(Type.String());

export const workloadSelector = Type.Object({ matchLabels: Type.Optional(labelMap) });

export const targetRef = Type.Object({
  group: Type.Optional(Type.String()),
  kind: Type.String({ minLength: 1 }),
  name: Type.String({ minLength: 1 }),
  namespace: Type.Optional(Type.String()),
});

/** Exactly one of the three. */
export const stringMatch = Type.Object({
  exact: Type.Optional(Type.String()),
  prefix: Type.Optional(Type.String()),
  regex: Type.Optional(Type.String()),
});
export type StringMatch = Static<typeof stringMatch>;

export const percentValue = Type.Object({ value: Type.Optional(Type.Number()) });

export const portSelector = Type.Object({ number: Type.Optional(portNumber) });

const condition = Type.Object({
  type: Type.String(),
  status: oneOf(["True", "False", "Unknown"]),
  reason: Type.String(),
  message: Type.String(),
  lastTransitionTime: Type.String(),
  observedGeneration: Type.Optional(Type.Integer()),
});

/** What the control plane writes back. */
export const meshStatus = Type.Object({
  conditions: Type.Optional(Type.Array(condition)),
  observedGeneration: Type.Optional(Type.Integer()),
});
