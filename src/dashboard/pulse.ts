// What the graph shows: services, callers that are none, and the calls between them. Values in, values out.

import { formatRef } from "../model/finding.ts";
import type { Service } from "../model/service.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { Connection } from "../serve/server.ts";
import type { Edge } from "../traffic/query.ts";
import { ROWS_MAX } from "./limits.ts";
import { appOf } from "./proxies.ts";
import type { GraphEdge, GraphNode, MeshPulse, ProxyCounts, ServiceList, ServiceRow, WireProtocol } from "./shapes.ts";
import type { Analyzed } from "./world.ts";

export interface PulseInput {
  readonly atMs: number;
  readonly sequence: number;
  readonly windowSeconds: number;
  readonly snapshot: MeshSnapshot;
  readonly connections: readonly Connection[];
  readonly calls: readonly Edge[];
  /** Undefined where the analysis could not be made. */
  readonly analyzed: Analyzed | undefined;
}

export function pulseOf(input: PulseInput): MeshPulse {
  const { atMs, sequence, windowSeconds, snapshot, connections, calls, analyzed } = input;
  const nodes = new Map<string, GraphNode>();
  for (const service of snapshot.services.values()) {
    const node = serviceNode(service, analyzed);
    nodes.set(node.id, node);
  }
  const names = nodeNames(snapshot, nodes);
  const edges = new Map<string, GraphEdge>();
  for (const call of calls) {
    const from = names.caller(call);
    const to = names.called(call);
    for (const end of [from, to]) if (!nodes.has(end.id)) nodes.set(end.id, end);
    const edge = edgeOf(call, windowSeconds, { from: from.id, to: to.id });
    const key = `${edge.from} ${edge.to} ${edge.protocol}`;
    const other = edges.get(key);
    edges.set(key, other === undefined ? edge : joined(other, edge));
  }
  return {
    atMs,
    sequence,
    windowSeconds,
    nodes: [...nodes.values()].slice(0, ROWS_MAX),
    edges: [...edges.values()].slice(0, ROWS_MAX),
    proxies: proxyCounts(connections),
  };
}

export function serviceListOf(snapshot: MeshSnapshot, analyzed: Analyzed, mtlsOf: (id: string) => string): ServiceList {
  const rows = [...snapshot.services.values()].map((service): ServiceRow => {
    const node = serviceNode(service, analyzed);
    const { id, namespace, name, endpoints, sidecars, errors, warnings } = node;
    return {
      ...{ id, namespace, name, endpoints, sidecars, errors, warnings },
      host: service.host,
      kind: service.external ? "external" : "service",
      ports: service.ports.map(({ number, declared, protocol }) => ({ number, protocol: declared || protocol })),
      mtls: mtlsOf(id),
    };
  });
  return { rows: rows.slice(0, ROWS_MAX), leftOut: Math.max(0, rows.length - ROWS_MAX) };
}

function serviceNode(service: Service, analyzed: Analyzed | undefined): GraphNode {
  const endpoints = new Map(
    [...service.endpoints.values()].flat().map((each) => [`${each.namespace}/${each.pod}/${each.address}`, each]),
  );
  const own = analyzed?.findings.get(formatRef(service.source)) ?? [];
  return {
    id: idOf(service),
    namespace: service.namespace,
    name: service.source.kind === "Service" ? service.name : service.host,
    kind: service.source.kind === "Service" ? "service" : "external",
    endpoints: endpoints.size,
    sidecars: [...endpoints.values()].filter(({ hasSidecar }) => hasSidecar).length,
    errors: own.filter(({ severity }) => severity === "Error").length,
    warnings: own.filter(({ severity }) => severity === "Warning").length,
  };
}

/** A ServiceEntry's hosts are services each, of one resource. */
export function idOf(service: Service): string {
  return `${service.namespace}/${service.source.kind === "Service" ? service.name : service.host}`;
}

interface NodeNames {
  caller(call: Edge): GraphNode;
  called(call: Edge): GraphNode;
}

/** Calls name workloads and hosts: the services that they belong to, and nodes of their own where there is none. */
function nodeNames(snapshot: MeshSnapshot, nodes: ReadonlyMap<string, GraphNode>): NodeNames {
  const byWorkload = servicesByApp(snapshot);
  return {
    caller: ({ source }) => {
      if (source.workload === UNKNOWN) return outside;
      const ids = byWorkload.get(`${source.namespace}/${source.app}`) ?? [];
      const same = nodes.get(`${source.namespace}/${source.app}`);
      const only = ids.length === 1 ? nodes.get(ids[0] ?? "") : undefined;
      return same ?? only ?? alone("workload", source.namespace, source.app === UNKNOWN ? source.workload : source.app);
    },
    called: ({ service, serviceName, serviceNamespace }) => {
      const found = snapshot.services.get(service);
      const node = nodes.get(found === undefined ? `${serviceNamespace}/${serviceName}` : idOf(found));
      return node ?? alone("outside", serviceNamespace === UNKNOWN ? "" : serviceNamespace, serviceName);
    },
  };
}

const UNKNOWN = "unknown";

function servicesByApp(snapshot: MeshSnapshot): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const service of snapshot.services.values()) {
    for (const { namespace, labels } of [...service.endpoints.values()].flat()) {
      const app = appOf(labels);
      if (app === undefined) continue;
      const key = `${namespace}/${app}`;
      const ids = found.get(key) ?? [];
      if (!ids.includes(idOf(service))) ids.push(idOf(service));
      found.set(key, ids);
    }
  }
  return found;
}

function alone(kind: GraphNode["kind"], namespace: string, name: string): GraphNode {
  const id = `${namespace}/${name}`;
  return { id, namespace, name, kind, endpoints: 0, sidecars: 0, errors: 0, warnings: 0 };
}

/** Callers that no proxy knows. */
const outside = alone("outside", "", "outside the mesh");

function edgeOf(call: Edge, windowSeconds: number, ends: Pick<GraphEdge, "from" | "to">): GraphEdge {
  const isTcp = call.requests === 0 && call.connectionsOpened > 0;
  return {
    ...ends,
    protocol: isTcp ? "tcp" : protocolOf(call.protocols),
    rate: isTcp ? call.connectionsOpened / windowSeconds : call.requestsPerSecond,
    errorShare: call.failureShare,
    refusedShare: refusedShareOf(call),
    p50Ms: call.p50Ms,
    p99Ms: call.p99Ms,
    mtls: MTLS[call.security],
    requests: isTcp ? call.connectionsOpened : call.requests,
  };
}

function refusedShareOf({ codes, requests }: Edge): number {
  const refused = codes.filter(({ code }) => code.startsWith("4")).reduce((sum, { count }) => sum + count, 0);
  return requests === 0 ? 0 : refused / requests;
}

/** Two applications of one service call another. Latencies can't be added: the worse one stands. */
function joined(one: GraphEdge, other: GraphEdge): GraphEdge {
  const requests = one.requests + other.requests;
  const failures = one.requests * one.errorShare + other.requests * other.errorShare;
  const refused = one.requests * one.refusedShare + other.requests * other.refusedShare;
  const worse = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || (b !== undefined && b > a) ? b : a;
  return {
    ...one,
    requests,
    rate: one.rate + other.rate,
    errorShare: requests === 0 ? 0 : failures / requests,
    refusedShare: requests === 0 ? 0 : refused / requests,
    p50Ms: worse(one.p50Ms, other.p50Ms),
    p99Ms: worse(one.p99Ms, other.p99Ms),
    mtls: one.mtls === other.mtls ? one.mtls : "some",
  };
}

const MTLS = { mutual_tls: "all", mixed: "some", none: "none", unknown: "unknown" } as const;

function protocolOf(protocols: readonly string[]): WireProtocol {
  return protocols.includes("grpc") ? "grpc" : "http";
}

function proxyCounts(connections: readonly Connection[]): ProxyCounts {
  const states = connections.map((each) => Object.values(each.statuses()).map(({ state }) => state));
  return {
    connected: connections.length,
    synced: states.filter((all) => all.every((state) => state === "SYNCED" || state === "NOT SENT")).length,
    refusing: states.filter((all) => all.includes("ERROR")).length,
  };
}
