// PeerAuthentication: the mode of each port of a workload, by Istio's precedence.

import type { MtlsMode, PeerAuthentication } from "../api/istio/peer-authentication.ts";
import { type ByNamespace, byNamespace, rivalFindings, WHOLE_NAMESPACE } from "./by-namespace.ts";
import { matchesLabels } from "./endpoint.ts";
import { type Finding, type ResourceRef, refOf } from "./finding.ts";
import type { MeshConfig } from "./mesh-config.ts";

type EffectiveMode = "DISABLE" | "PERMISSIVE" | "STRICT";

export interface PortMode {
  readonly mode: EffectiveMode;
  /** What set it; nothing set means PERMISSIVE by default. */
  readonly resource: ResourceRef | undefined;
}

export interface WorkloadMtls {
  readonly general: PortMode;
  readonly byPort: ReadonlyMap<number, PortMode>;
}

export type MtlsIndex = ByNamespace<PeerAuthentication>;

export function indexMtls(policies: Iterable<PeerAuthentication>): {
  readonly index: MtlsIndex;
  readonly findings: readonly Finding[];
} {
  const index = byNamespace(policies);
  const findings = rivalFindings(index, "spec", (policy) => (isSelective(policy) ? undefined : WHOLE_NAMESPACE));
  return { index, findings };
}

/** Workload before namespace before root namespace; UNSET asks the next; ports only by a policy with a selector. */
export function mtlsOf(
  index: MtlsIndex,
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  mesh: MeshConfig,
): WorkloadMtls {
  const own = index.get(workload.namespace) ?? [];
  const selective = own.find(
    (each) => isSelective(each) && matchesLabels(each.spec?.selector?.matchLabels, workload.labels),
  );
  const general = own.find((each) => !isSelective(each));
  const root = (index.get(mesh.rootNamespace) ?? []).find((each) => !isSelective(each));
  const chain = [selective, general, root].filter((each) => each !== undefined);
  const inherited = firstMode(chain);
  const byPort = new Map<number, PortMode>();
  for (const [port, { mode }] of Object.entries(selective?.spec?.portLevelMtls ?? {})) {
    const known = effective(mode);
    const resource = selective === undefined ? undefined : refOf(selective);
    byPort.set(Number(port), known === undefined ? inherited : { mode: known, resource });
  }
  return { general: inherited, byPort };
}

/** Whether a port takes no mutual TLS, so that even peers speak plaintext to it. */
export type TakesPlaintext = (
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  port: number,
) => boolean;

/** Undefined where no policy says DISABLE, so that there is nothing to ask. */
export function plaintextPorts(index: MtlsIndex, mesh: MeshConfig): TakesPlaintext | undefined {
  if (![...index.values()].flat().some(disables)) return undefined;
  return (workload, port) => modeOfPort(mtlsOf(index, workload, mesh), port).mode === "DISABLE";
}

function disables({ spec }: PeerAuthentication): boolean {
  return [spec?.mtls, ...Object.values(spec?.portLevelMtls ?? {})].some((each) => each?.mode === "DISABLE");
}

export function modeOfPort(mtls: WorkloadMtls, port: number): PortMode {
  return mtls.byPort.get(port) ?? mtls.general;
}

function firstMode(chain: readonly PeerAuthentication[]): PortMode {
  for (const policy of chain) {
    const mode = effective(policy.spec?.mtls?.mode);
    if (mode !== undefined) return { mode, resource: refOf(policy) };
  }
  return { mode: "PERMISSIVE", resource: undefined };
}

function effective(mode: MtlsMode | undefined): EffectiveMode | undefined {
  return mode === undefined || mode === "UNSET" ? undefined : mode;
}

function isSelective(policy: PeerAuthentication): boolean {
  return Object.keys(policy.spec?.selector?.matchLabels ?? {}).length > 0;
}
