// The mesh-wide settings that weft acts on, with Istio's defaults.

import type { Issue } from "../api/issue.ts";
import { MESH_CONFIG_NAME, type MeshSettings, readMeshSettings } from "../api/istio/mesh-config.ts";
import { parseDurationMs } from "../api/istio/rules.ts";
import type { ResourceSet } from "../ingest/resources.ts";
import { logFormatIssues } from "./log-format.ts";

export interface MeshConfig {
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly clusterDomain: string;
  readonly enableAutoMtls: boolean;
  readonly connectTimeoutMs: number;
  /** How often the names of DNS clusters are looked up where their records don't say. */
  readonly dnsRefreshRateMs: number;
  /** What a call to a host outside the mesh gets. */
  readonly outboundTrafficPolicy: "ALLOW_ANY" | "REGISTRY_ONLY" | "ALLOW_ANY_DYNAMIC_DNS";
  /** What the ConfigMap says, as it is written. */
  readonly settings: MeshSettings;
}

export const defaultMeshConfig: MeshConfig = {
  rootNamespace: "istio-system",
  trustDomain: "cluster.local",
  trustDomainAliases: [],
  clusterDomain: "cluster.local",
  enableAutoMtls: true,
  connectTimeoutMs: 10_000,
  dnsRefreshRateMs: 60_000,
  outboundTrafficPolicy: "ALLOW_ANY",
  settings: {},
};

export interface EffectiveMeshConfig {
  readonly base: MeshConfig;
  readonly config: MeshConfig;
  /** The text that it was read from; undefined where there is none. */
  readonly text: string | undefined;
  readonly issues: readonly Issue[];
}

/**
 * What the control plane was started with, and over it what the root namespace's ConfigMap says.
 * A text with errors changes nothing: what was in force stays.
 */
export function effectiveMeshConfig(
  base: MeshConfig,
  meshConfigs: ResourceSet["meshConfigs"],
  before?: EffectiveMeshConfig,
): EffectiveMeshConfig {
  const text = meshConfigs.get(`${base.rootNamespace}/${MESH_CONFIG_NAME}`)?.data?.["mesh"];
  const known = before?.base === base ? before : undefined;
  if (known !== undefined && known.text === text) return known;
  if (text === undefined) return { base, config: base, text, issues: [] };
  const { settings, issues: found } = readMeshSettings(text);
  const issues = [...found, ...logFormatIssues(settings)];
  const broken = issues.some(({ severity }) => severity === "error");
  return { base, config: broken ? (known?.config ?? base) : overlay(base, settings), text, issues };
}

function overlay(base: MeshConfig, settings: MeshSettings): MeshConfig {
  const { outboundTrafficPolicy } = settings;
  return {
    ...base,
    trustDomainAliases: settings.trustDomainAliases ?? base.trustDomainAliases,
    enableAutoMtls: settings.enableAutoMtls ?? base.enableAutoMtls,
    connectTimeoutMs: parseDurationMs(settings.connectTimeout ?? "") ?? base.connectTimeoutMs,
    dnsRefreshRateMs: parseDurationMs(settings.dnsRefreshRate ?? "") ?? base.dnsRefreshRateMs,
    outboundTrafficPolicy: outboundTrafficPolicy?.mode ?? base.outboundTrafficPolicy,
    settings,
  };
}
