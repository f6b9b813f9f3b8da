// DestinationRules merged per host: field by field, oldest first, with a finding where two contradict each other.

import type { DestinationRule, Subset, TrafficPolicy } from "../api/istio/destination-rule.ts";
import { deepEqual } from "../base/equal.ts";
import { isRecord } from "../base/json.ts";
import { matchesLabels } from "./endpoint.ts";
import { byAge, type Finding, formatRef, type ResourceRef, refOf } from "./finding.ts";
import { isExportedTo, mostSpecificOf, resolveHost } from "./hosts.ts";
import type { MeshConfig } from "./mesh-config.ts";
import type { Service } from "./service.ts";

export interface HostRule {
  readonly host: string;
  readonly namespace: string;
  readonly exportTo: readonly string[] | undefined;
  /** Labels of the clients that it is for; none: every client. */
  readonly clients: Readonly<Record<string, string>>;
  readonly trafficPolicy: TrafficPolicy | undefined;
  readonly subsets: readonly Subset[];
  /** Every rule that it was made of, oldest first. */
  readonly sources: readonly ResourceRef[];
}

export interface DestinationIndex {
  /** Namespace to host to its merged rules: one for all clients, and one for each choice of clients. */
  readonly rules: ReadonlyMap<string, ReadonlyMap<string, readonly HostRule[]>>;
  /** By host: subsets that routes still name although no rule has them any more. */
  readonly kept: ReadonlyMap<string, readonly Subset[]>;
  /** Rules together with what is kept, so that one stays the same value for all who ask. */
  readonly completed: Map<HostRule | string, HostRule>;
}

export function indexDestinations(
  rules: Iterable<DestinationRule>,
  mesh: MeshConfig,
): { readonly index: DestinationIndex; readonly findings: readonly Finding[] } {
  const index = new Map<string, Map<string, HostRule[]>>();
  const findings: Finding[] = [];
  for (const rule of [...rules].sort(byAge)) {
    const namespace = rule.metadata.namespace ?? "default";
    const host = resolveHost(rule.spec.host, namespace, mesh.clusterDomain);
    const hosts = index.get(namespace) ?? new Map<string, HostRule[]>();
    index.set(namespace, hosts);
    const list = hosts.get(host) ?? [];
    hosts.set(host, list);
    const clients = rule.spec.workloadSelector?.matchLabels ?? {};
    const at = list.findIndex((each) => deepEqual(each.clients, clients));
    const older = list[at];
    if (older === undefined) list.push(fresh(rule, host, namespace));
    else list[at] = merge(older, rule, findings);
  }
  return { index: { rules: index, kept: new Map(), completed: new Map() }, findings };
}

export function keepSubsets(index: DestinationIndex, kept: ReadonlyMap<string, readonly Subset[]>): DestinationIndex {
  return kept.size === 0 ? index : { rules: index.rules, kept, completed: new Map() };
}

export interface DestinationCall {
  readonly clientNamespace: string;
  readonly serviceNamespace: string;
  readonly host: string;
  /** Rules that choose their clients need them. */
  readonly clientLabels?: Readonly<Record<string, string>>;
}

/** The rule that a client of a namespace follows: its own namespace's, else the service's, else the root's. */
export function findRule(index: DestinationIndex, call: DestinationCall, mesh: MeshConfig): HostRule | undefined {
  return complete(index, call, findDefined(index, call, mesh));
}

function findDefined(index: DestinationIndex, call: DestinationCall, mesh: MeshConfig): HostRule | undefined {
  for (const namespace of new Set([call.clientNamespace, call.serviceNamespace, mesh.rootNamespace])) {
    const hosts = index.rules.get(namespace);
    if (hosts === undefined) continue;
    const rule = mostSpecificOf(hosts, call.host, (list) => choose(list, namespace, call));
    if (rule !== undefined) return rule;
  }
  return undefined;
}

/** A rule that chooses its clients by label holds only in its own namespace, and goes before one for all. */
function choose(list: readonly HostRule[], namespace: string, call: DestinationCall): HostRule | undefined {
  const visible = list.filter((rule) => isExportedTo(rule.exportTo, namespace, call.clientNamespace));
  const own =
    namespace === call.clientNamespace
      ? visible.find((rule) => isChosen(rule) && matchesLabels(rule.clients, call.clientLabels ?? {}))
      : undefined;
  return own ?? visible.find((rule) => !isChosen(rule));
}

function isChosen(rule: HostRule): boolean {
  return Object.keys(rule.clients).length > 0;
}

function complete(index: DestinationIndex, call: DestinationCall, rule: HostRule | undefined): HostRule | undefined {
  const kept = index.kept.get(call.host);
  if (kept === undefined) return rule;
  const known = index.completed.get(rule ?? call.host);
  if (known !== undefined) return known;
  const missing = kept.filter((each) => rule?.subsets.some(({ name }) => name === each.name) !== true);
  const subsets = [...(rule?.subsets ?? [])];
  for (const each of missing) if (!subsets.some(({ name }) => name === each.name)) subsets.push(each);
  const base: HostRule = rule ?? {
    host: call.host,
    namespace: call.serviceNamespace,
    exportTo: undefined,
    clients: {},
    trafficPolicy: undefined,
    subsets,
    sources: [],
  };
  const completed = { ...base, subsets };
  index.completed.set(rule ?? call.host, completed);
  return completed;
}

function fresh(rule: DestinationRule, host: string, namespace: string): HostRule {
  return {
    host,
    namespace,
    exportTo: rule.spec.exportTo,
    clients: rule.spec.workloadSelector?.matchLabels ?? {},
    trafficPolicy: rule.spec.trafficPolicy,
    subsets: rule.spec.subsets ?? [],
    sources: [refOf(rule)],
  };
}

function merge(older: HostRule, rule: DestinationRule, findings: Finding[]): HostRule {
  const winner = older.sources[0] ?? refOf(rule);
  const conflict = (path: string): void => {
    findings.push({
      resource: refOf(rule),
      type: "conflict",
      path,
      message: `${path} is set differently by ${formatRef(winner)} for the same host ${older.host}, which is older (or first by name) and wins`,
    });
  };
  const trafficPolicy = mergeValue(older.trafficPolicy, rule.spec.trafficPolicy, {
    path: "spec.trafficPolicy",
    conflict,
  });
  return {
    ...older,
    trafficPolicy,
    subsets: mergeSubsets(older.subsets, rule.spec.subsets ?? [], conflict),
    sources: [...older.sources, refOf(rule)],
  };
}

function mergeSubsets(older: readonly Subset[], newer: readonly Subset[], conflict: (path: string) => void): Subset[] {
  const merged = [...older];
  newer.forEach((subset, i) => {
    const at = merged.findIndex((each) => each.name === subset.name);
    const same = merged[at];
    if (same === undefined) merged.push(subset);
    else merged[at] = mergeValue(same, subset, { path: `spec.subsets[${i}]`, conflict });
  });
  return merged;
}

interface MergeContext {
  readonly path: string;
  readonly conflict: (path: string) => void;
}

/** Of these fields only one may be set: the older side's choice stands whole. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  loadBalancer: ["simple", "consistentHash"],
};

function mergeValue<T>(older: T, newer: T, context: MergeContext): T {
  if (older === undefined) return newer;
  if (newer === undefined || deepEqual(older, newer)) return older;
  if (isPortLevels(older) && isPortLevels(newer)) return mergePortLevels(older, newer, context);
  if (!isRecord(older) || !isRecord(newer)) {
    context.conflict(context.path);
    return older;
  }
  const field = context.path.split(".").at(-1) ?? "";
  const choice = CHOICES[field] ?? [];
  const taken = choice.some((name) => older[name] !== undefined);
  const merged: Record<string, unknown> = { ...older };
  for (const [key, value] of Object.entries(newer)) {
    const path = `${context.path}.${key}`;
    if (taken && choice.includes(key) && older[key] === undefined) context.conflict(path);
    else merged[key] = mergeValue<unknown>(older[key], value, { path, conflict: context.conflict });
  }
  return { ...older, ...merged };
}

interface PortLevel {
  readonly port: { readonly number?: number };
}

function isPortLevels(value: unknown): value is readonly PortLevel[] {
  return Array.isArray(value) && value.length > 0 && value.every((each) => isRecord(each) && isRecord(each["port"]));
}

function mergePortLevels<T extends readonly PortLevel[]>(older: T, newer: T, context: MergeContext): T {
  const merged: PortLevel[] = [...older];
  newer.forEach((level, i) => {
    const at = merged.findIndex((each) => each.port.number === level.port.number);
    const same = merged[at];
    const path = `${context.path}[${i}]`;
    if (same === undefined) merged.push(level);
    else merged[at] = mergeValue(same, level, { path, conflict: context.conflict });
  });
  // Every element came from one of the two lists, so the list is of their type.
  return merged as unknown as T;
}

/** What a cluster follows: the subset's settings replace the host's one by one, and the port's replace both. */
export function effectivePolicy(
  rule: HostRule | undefined,
  subset: string | undefined,
  port: number,
): Omit<TrafficPolicy, "portLevelSettings"> {
  if (rule === undefined) return {};
  const own = rule.subsets.find((each) => each.name === subset)?.trafficPolicy;
  return { ...atPort(rule.trafficPolicy, port), ...atPort(own, port) };
}

/** The same with what the Service itself asks for, and what MeshConfig says for all of them, where no rule does. */
export function servicePolicy(
  service: Pick<Service, "sessionAffinity">,
  rule: HostRule | undefined,
  at: { readonly subset: string | undefined; readonly port: number },
  { settings }: MeshConfig,
): Omit<TrafficPolicy, "portLevelSettings"> {
  const policy = { ...settings.defaultTrafficPolicy, ...effectivePolicy(rule, at.subset, at.port) };
  const { simple, consistentHash } = policy.loadBalancer ?? {};
  if (!service.sessionAffinity || (simple ?? "UNSPECIFIED") !== "UNSPECIFIED" || consistentHash !== undefined) {
    return policy;
  }
  return { ...policy, loadBalancer: { ...policy.loadBalancer, consistentHash: { useSourceIp: true } } };
}

function atPort(policy: TrafficPolicy | undefined, port: number): TrafficPolicy {
  if (policy === undefined) return {};
  const { portLevelSettings, ...general } = policy;
  const level = portLevelSettings?.find((each) => each.port?.number === port);
  if (level === undefined) return general;
  const { port: _port, ...settings } = level;
  return { ...general, ...settings };
}
