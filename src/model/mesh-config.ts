// The mesh-wide settings that weft acts on, with Istio's defaults.

export interface MeshConfig {
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly clusterDomain: string;
  readonly enableAutoMtls: boolean;
  readonly connectTimeoutMs: number;
  /** What a call to a host outside the mesh gets. */
  readonly outboundTrafficPolicy: "ALLOW_ANY" | "REGISTRY_ONLY";
}

export const defaultMeshConfig: MeshConfig = {
  rootNamespace: "istio-system",
  trustDomain: "cluster.local",
  trustDomainAliases: [],
  clusterDomain: "cluster.local",
  enableAutoMtls: true,
  connectTimeoutMs: 10_000,
  outboundTrafficPolicy: "ALLOW_ANY",
};
