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

/** The port of a server that the mesh or a gateway offers. */
export const serverPort = Type.Object({
  number: portNumber,
  protocol: Type.String(),
  name: Type.String(),
  targetPort: Type.Optional(portNumber),
});

/** TLS of a server: of a Gateway, or of a sidecar's ingress listener. */
export const serverTls = Type.Object({
  httpsRedirect: Type.Optional(Type.Boolean()),
  mode: Type.Optional(
    oneOf(["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"]),
  ),
  serverCertificate: Type.Optional(Type.String()),
  privateKey: Type.Optional(Type.String()),
  caCertificates: Type.Optional(Type.String()),
  caCrl: Type.Optional(Type.String()),
  credentialName: Type.Optional(Type.String()),
  credentialNames: Type.Optional(Type.Array(Type.String())),
  caCertCredentialName: Type.Optional(Type.String()),
  tlsCertificates: Type.Optional(
    Type.Array(
      Type.Object({
        serverCertificate: Type.Optional(Type.String()),
        privateKey: Type.Optional(Type.String()),
        caCertificates: Type.Optional(Type.String()),
      }),
    ),
  ),
  subjectAltNames: Type.Optional(Type.Array(Type.String())),
  verifyCertificateSpki: Type.Optional(Type.Array(Type.String())),
  verifyCertificateHash: Type.Optional(Type.Array(Type.String())),
  minProtocolVersion: Type.Optional(oneOf(["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"])),
  maxProtocolVersion: Type.Optional(oneOf(["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"])),
  cipherSuites: Type.Optional(Type.Array(Type.String())),
});

export const condition = Type.Object({
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
