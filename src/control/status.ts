// Writes what became of each mesh resource back to it: gathered, only on change, a few writes at a time.

import type { KubeClient } from "../api/client.ts";
import { authorizationPolicyKind } from "../api/istio/authorization-policy.ts";
import { destinationRuleKind } from "../api/istio/destination-rule.ts";
import { gatewayKind } from "../api/istio/gateway.ts";
import { peerAuthenticationKind } from "../api/istio/peer-authentication.ts";
import { proxyConfigKind } from "../api/istio/proxy-config.ts";
import { requestAuthenticationKind } from "../api/istio/request-authentication.ts";
import { serviceEntryKind } from "../api/istio/service-entry.ts";
import { sidecarKind } from "../api/istio/sidecar.ts";
import { telemetryKind } from "../api/istio/telemetry.ts";
import { virtualServiceKind } from "../api/istio/virtual-service.ts";
import { workloadEntryKind } from "../api/istio/workload-entry.ts";
import { workloadGroupKind } from "../api/istio/workload-group.ts";
import { eraseKind, type Kind } from "../api/kind.ts";
import type { Condition, KubeObject } from "../api/object.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { isRecord } from "../base/json.ts";
import { matchesLabels } from "../model/endpoint.ts";
import type { Finding } from "../model/finding.ts";
import { gatewaysFor } from "../model/gateway.ts";
import { gatewayName, isExportedTo, MESH_GATEWAY } from "../model/hosts.ts";
import { sidecarOf } from "../model/sidecar.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { Connection } from "../serve/server.ts";
import type { ProxyNode } from "../translate/proxy.ts";
import { blamedResources } from "./blame.ts";
import { draftConditions, mergeConditions, type Programming } from "./conditions.ts";
import { envoyGaps } from "./envoy-gaps.ts";
import { STATUS_QUIET_MS, STATUS_RETRY_MS, STATUS_WRITES_MAX } from "./limits.ts";

type Concerns = (proxy: ProxyNode, object: KubeObject, snapshot: MeshSnapshot) => boolean;

interface Reported {
  readonly kind: Kind;
  readonly of: (snapshot: MeshSnapshot) => ReadonlyMap<string, KubeObject>;
  /** Undefined for what no proxy runs. */
  readonly concerns: Concerns | undefined;
}

const REPORTED: readonly Reported[] = [
  { kind: eraseKind(virtualServiceKind), of: ({ resources }) => resources.virtualServices, concerns: routes },
  { kind: eraseKind(destinationRuleKind), of: ({ resources }) => resources.destinationRules, concerns: sees },
  { kind: eraseKind(peerAuthenticationKind), of: ({ resources }) => resources.peerAuthentications, concerns: selects },
  {
    kind: eraseKind(authorizationPolicyKind),
    of: ({ resources }) => resources.authorizationPolicies,
    concerns: selects,
  },
  {
    kind: eraseKind(requestAuthenticationKind),
    of: ({ resources }) => resources.requestAuthentications,
    concerns: selects,
  },
  { kind: eraseKind(telemetryKind), of: ({ resources }) => resources.telemetries, concerns: selects },
  { kind: eraseKind(serviceEntryKind), of: ({ resources }) => resources.serviceEntries, concerns: sees },
  { kind: eraseKind(workloadEntryKind), of: ({ resources }) => resources.workloadEntries, concerns: sees },
  { kind: eraseKind(workloadGroupKind), of: ({ resources }) => resources.workloadGroups, concerns: undefined },
  { kind: eraseKind(sidecarKind), of: ({ resources }) => resources.sidecars, concerns: scopes },
  { kind: eraseKind(gatewayKind), of: ({ resources }) => resources.gateways, concerns: serves },
  { kind: eraseKind(proxyConfigKind), of: ({ resources }) => resources.proxyConfigs, concerns: undefined },
];

interface Known {
  readonly uid: string | undefined;
  readonly generation: number | undefined;
  /** The snapshot that first had this generation. */
  readonly sequence: number;
  conditions: readonly Condition[];
}

export interface StatusOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly state: () => { readonly snapshot: MeshSnapshot | undefined; readonly sequence: number };
  readonly connections: () => readonly Connection[];
  readonly log: (level: "info" | "warn", message: string) => void;
}

export class StatusWriter {
  readonly #options: StatusOptions;
  readonly #known = new Map<string, Known>();
  #timer: Timer | undefined;
  #retry: Timer | undefined;
  #writing = false;
  #stopped = false;

  constructor(options: StatusOptions) {
    this.#options = options;
  }

  /** Something changed that a status may depend on. */
  touch(): void {
    if (this.#stopped || this.#timer !== undefined) return;
    this.#timer = this.#options.clock.after(STATUS_QUIET_MS, () => {
      this.#timer = undefined;
      void this.#writeAll();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#retry?.cancel();
  }

  /** The API server may be away: what it did not take is due until it does. */
  #tryAgain(): void {
    this.#retry ??= this.#options.clock.after(STATUS_RETRY_MS, () => {
      this.#retry = undefined;
      this.touch();
    });
  }

  async #writeAll(): Promise<void> {
    if (this.#writing) {
      this.touch();
      return;
    }
    this.#writing = true;
    const writes = this.#due();
    for (let i = 0; i < writes.length && !this.#stopped; i += STATUS_WRITES_MAX) {
      await Promise.all(writes.slice(i, i + STATUS_WRITES_MAX).map((write) => write()));
    }
    this.#writing = false;
  }

  #due(): readonly (() => Promise<void>)[] {
    const { snapshot, sequence } = this.#options.state();
    if (snapshot === undefined) return [];
    const findings = Map.groupBy(
      snapshot.findings,
      ({ resource }) => `${resource.kind} ${resource.namespace}/${resource.name}`,
    );
    const present = new Set<string>();
    const writes: (() => Promise<void>)[] = [];
    for (const reported of REPORTED) {
      for (const [key, object] of reported.of(snapshot)) {
        const id = `${reported.kind.kind} ${key}`;
        present.add(id);
        const known = this.#remember(id, object, sequence);
        const conditions = this.#changed({ reported, object, known, snapshot, findings: findings.get(id) ?? [] });
        if (conditions !== undefined) writes.push(() => this.#write(reported.kind, object, known, conditions));
      }
    }
    for (const id of this.#known.keys()) if (!present.has(id)) this.#known.delete(id);
    return writes;
  }

  #remember(id: string, object: KubeObject, sequence: number): Known {
    const { uid, generation } = object.metadata;
    const before = this.#known.get(id);
    if (before !== undefined && before.uid === uid && before.generation === generation) return before;
    const conditions = before !== undefined && before.uid === uid ? before.conditions : storedConditions(object);
    const known: Known = { uid, generation, sequence, conditions };
    this.#known.set(id, known);
    return known;
  }

  #changed(input: {
    readonly reported: Reported;
    readonly object: KubeObject;
    readonly known: Known;
    readonly snapshot: MeshSnapshot;
    readonly findings: readonly Finding[];
  }): readonly Condition[] | undefined {
    const { reported, object, known, snapshot, findings } = input;
    const { concerns } = reported;
    const concerned =
      concerns === undefined
        ? undefined
        : this.#options.connections().filter(({ proxy }) => concerns(proxy, object, snapshot));
    const warnings = [
      ...(reported.kind.check?.(object, undefined) ?? []).filter((issue) => issue.severity === "warning"),
      ...envoyGaps(
        reported.kind.kind,
        object,
        (concerned ?? []).map(({ proxy }) => proxy),
      ),
    ];
    const generation = object.metadata.generation;
    const programming =
      concerned === undefined
        ? undefined
        : programmingOf(concerned, known.sequence, `${reported.kind.kind} ${idOf(object)}`);
    const drafts = draftConditions({ generation, warnings, findings, programming });
    const time = `${new Date(this.#options.clock.wallMs()).toISOString().slice(0, 19)}Z`;
    return mergeConditions(known.conditions, drafts, { time, generation });
  }

  async #write(kind: Kind, object: KubeObject, known: Known, conditions: readonly Condition[]): Promise<void> {
    const { name, namespace, generation } = object.metadata;
    const ref = { name, ...(namespace === undefined ? {} : { namespace }) };
    const observed = generation === undefined ? {} : { observedGeneration: generation };
    const body = { status: { conditions, ...observed } };
    const written = await this.#options.client.mergePatch(kind, ref, { body, subresource: "status" });
    if (written.ok) known.conditions = conditions;
    else if (written.error.reason !== "NotFound" && !this.#stopped) {
      this.#options.log("warn", `status of ${kind.kind} ${namespace}/${name}: ${written.error.message}`);
      this.#tryAgain();
    }
  }
}

/** Only refusals of what was made from the resource count against it. */
function programmingOf(concerned: readonly Connection[], sequence: number, resource: string): Programming {
  const refusals: string[] = [];
  let programmed = 0;
  for (const { proxy, session } of concerned) {
    const own = session.refusals().filter((refusal) => blamedResources(refusal).includes(resource));
    for (const { type, resource: refused, message } of own) {
      refusals.push(`${proxy.pod}.${proxy.namespace} refused ${type} ${refused.name}: ${message}`);
    }
    if (own.length === 0 && session.settledSequence >= sequence) programmed += 1;
  }
  return { concerned: concerned.length, programmed, refusals };
}

function idOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}

function storedConditions(object: KubeObject): readonly Condition[] {
  const status: unknown = Reflect.get(object, "status");
  const conditions = isRecord(status) ? status["conditions"] : undefined;
  return Array.isArray(conditions) ? conditions.filter(isCondition) : [];
}

function isCondition(value: unknown): value is Condition {
  return isRecord(value) && typeof value["type"] === "string" && typeof value["status"] === "string";
}

/** VirtualService: whoever may see it, of the mesh or of the gateways that it is bound to. */
function routes(proxy: ProxyNode, object: KubeObject, snapshot: MeshSnapshot): boolean {
  if (!sees(proxy, object)) return false;
  const spec: unknown = Reflect.get(object, "spec");
  const written = isRecord(spec) && Array.isArray(spec["gateways"]) ? spec["gateways"].map(String) : [];
  const namespace = object.metadata.namespace ?? "";
  const names = new Set((written.length === 0 ? [MESH_GATEWAY] : written).map((name) => gatewayName(name, namespace)));
  if (proxy.type === "sidecar") return names.has(MESH_GATEWAY);
  return gatewaysFor(snapshot.gateways.all, proxy.labels).some(({ name }) => names.has(name));
}

/** Gateway: the gateways that it selects. */
function serves(proxy: ProxyNode, object: KubeObject, { gateways }: MeshSnapshot): boolean {
  const name = `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
  return proxy.type === "router" && gatewaysFor(gateways.all, proxy.labels).some((each) => each.name === name);
}

/** DestinationRule, ServiceEntry, WorkloadEntry: whoever may see it. */
function sees(proxy: ProxyNode, object: KubeObject): boolean {
  const spec: unknown = Reflect.get(object, "spec");
  const exportTo = isRecord(spec) && Array.isArray(spec["exportTo"]) ? spec["exportTo"].map(String) : undefined;
  return isExportedTo(exportTo, object.metadata.namespace ?? "", proxy.namespace);
}

/** Sidecar: the proxies that it is in force for. */
function scopes(proxy: ProxyNode, object: KubeObject, { sidecars, mesh }: MeshSnapshot): boolean {
  return proxy.type === "sidecar" && sidecarOf(sidecars.index, proxy, mesh) === object;
}

/** Policies and Telemetry: the workloads that it selects. */
function selects(proxy: ProxyNode, object: KubeObject, { mesh }: MeshSnapshot): boolean {
  const namespace = object.metadata.namespace ?? "";
  if (namespace !== proxy.namespace && namespace !== mesh.rootNamespace) return false;
  const spec: unknown = Reflect.get(object, "spec");
  const selector = isRecord(spec) ? spec["selector"] : undefined;
  const labels = isRecord(selector) && isRecord(selector["matchLabels"]) ? selector["matchLabels"] : {};
  const wanted = Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)]));
  return matchesLabels(wanted, proxy.labels);
}
