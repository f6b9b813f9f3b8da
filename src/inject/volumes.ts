// The volumes of a sidecar and where its container sees them: names and paths are Istio's.

import type { Json } from "./shape.ts";

const TOKEN_LIFETIME_SECONDS = 43_200;
const EMPTY_VOLUMES = ["workload-socket", "credential-socket", "workload-certs", "istio-data"];

export const SIDECAR_VOLUMES: readonly Json[] = [
  ...EMPTY_VOLUMES.map((name) => ({ name, emptyDir: {} })),
  { name: "istio-envoy", emptyDir: { medium: "Memory" } },
  {
    name: "istio-podinfo",
    downwardAPI: {
      items: [
        { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
        { path: "annotations", fieldRef: { fieldPath: "metadata.annotations" } },
      ],
    },
  },
  {
    name: "istio-token",
    projected: {
      sources: [
        {
          serviceAccountToken: {
            audience: "istio-ca",
            expirationSeconds: TOKEN_LIFETIME_SECONDS,
            path: "istio-token",
          },
        },
      ],
    },
  },
  { name: "istiod-ca-cert", configMap: { name: "istio-ca-root-cert" } },
];

export const SIDECAR_MOUNTS: readonly Json[] = [
  { name: "workload-socket", mountPath: "/var/run/secrets/workload-spiffe-uds" },
  { name: "credential-socket", mountPath: "/var/run/secrets/credential-uds" },
  { name: "workload-certs", mountPath: "/var/run/secrets/workload-spiffe-credentials" },
  { name: "istiod-ca-cert", mountPath: "/var/run/secrets/istio" },
  { name: "istio-data", mountPath: "/var/lib/istio/data" },
  { name: "istio-envoy", mountPath: "/etc/istio/proxy" },
  { name: "istio-token", mountPath: "/var/run/secrets/tokens" },
  { name: "istio-podinfo", mountPath: "/etc/istio/pod" },
];
