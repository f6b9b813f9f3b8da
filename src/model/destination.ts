// DestinationRules merged per host: field by field, oldest first, with a finding where two contradict each other.

import type { DestinationRule, Subset, TrafficPolicy } from "../api/istio/destination-rule.ts";
import { deepEqual } from "../base/equal.ts";
import { isRecord } from "../base/json.ts";
import { byAge, type Finding, formatRef, type ResourceRef, refOf } from "./finding.ts";
import { isExportedTo, mostSpecific, resolveHost } from "./hosts.ts";
import type { MeshConfig } from "./mesh-config.ts";

export interface HostRule {
  readonly host: string;
  readonly namespace: string;
  readonly exportTo: readonly string[] | undefined;
  readonly trafficPolicy: TrafficPolicy | undefined;
  readonly subsets: readonly Subset[];
  /** Every rule that it was made of, oldest first. */
  readonly sources: readonly ResourceRef[];
}

/** Namespace to host to its merged rule. */
export type DestinationIndex = ReadonlyMap<string, ReadonlyMap<string, HostRule>>;

export function indexDestinations(
  rules: Iterable<DestinationRule>,
  mesh: MeshConfig,
): { readonly index: DestinationIndex; readonly findings: readonly Finding[] } {
  const index = new Map<string, Map<string, HostRule>>();
  const findings: Finding[] = [];
  for (const rule of [...rules].sort(byAge)) {
    const namespace = rule.metadata.namespace ?? "default";
    const host = resolveHost(rule.spec.host, namespace, mesh.clusterDomain);
    const hosts = index.get(namespace) ?? new Map<string, HostRule>();
    index.set(namespace, hosts);
    const older = hosts.get(host);
    hosts.set(host, older === undefined ? fresh(rule, host, namespace) : merge(older, rule, findings));
  }
  return { index, findings };
}

/** The rule that a client of a namespace follows: its own namespace's, else the service's, else the root's. */
export function findRule(
  index: DestinationIndex,
  call: { readonly clientNamespace: string; readonly serviceNamespace: string; readonly host: string },
  mesh: MeshConfig,
): HostRule | undefined {
  for (const namespace of new Set([call.clientNamespace, call.serviceNamespace, mesh.rootNamespace])) {
    const hosts = index.get(namespace);
    if (hosts === undefined) continue;
    const rule = mostSpecific(hosts, call.host);
    if (rule !== undefined && isExportedTo(rule.exportTo, namespace, call.clientNamespace)) return rule;
  }
  return undefined;
}

function fresh(rule: DestinationRule, host: string, namespace: string): HostRule {
  return {
    host,
    namespace,
    exportTo: rule.spec.exportTo,
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
): Pick<TrafficPolicy, "loadBalancer" | "connectionPool" | "outlierDetection" | "tls"> {
  if (rule === undefined) return {};
  const own = rule.subsets.find((each) => each.name === subset)?.trafficPolicy;
  return { ...atPort(rule.trafficPolicy, port), ...atPort(own, port) };
}

function atPort(policy: TrafficPolicy | undefined, port: number): TrafficPolicy {
  if (policy === undefined) return {};
  const { portLevelSettings, ...general } = policy;
  const level = portLevelSettings?.find((each) => each.port?.number === port);
  if (level === undefined) return general;
  const { port: _port, ...settings } = level;
  return { ...general, ...settings };
}
