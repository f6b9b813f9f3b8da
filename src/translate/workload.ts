// The workload that a proxy serves: its ports and the policies that hold for it.

import type { AuthorizationPolicy } from "../api/istio/authorization-policy.ts";
import type { JwtRule } from "../api/istio/request-authentication.ts";
import type { ConnectionPool } from "../api/istio/traffic.ts";
import { selecting } from "../model/by-namespace.ts";
import { matchesLabels } from "../model/endpoint.ts";
import { byAge } from "../model/finding.ts";
import { mtlsOf, type WorkloadMtls } from "../model/mtls.ts";
import { jwtRulesOf, type KeySets, keySetsOf } from "../model/request-authentication.ts";
import { declaredProtocol, type Protocol } from "../model/service.ts";
import { entryProtocol } from "../model/service-entry.ts";
import { type IngressListener, ingressOf, sidecarOf } from "../model/sidecar.ts";
import { type MeshSnapshot, sameShapes } from "../model/snapshot.ts";
import type { ProxyNode } from "./proxy.ts";
import { type ProxyTelemetry, telemetryOf } from "./telemetry.ts";

export interface WorkloadPort {
  readonly number: number;
  readonly protocol: Protocol;
  /** Where clients call it: `api.production.svc.cluster.local:8080`; of several Services the first. */
  readonly calledAs: string;
  /** Of a Sidecar. */
  readonly ingress?: IngressListener;
}

export interface Workload {
  readonly proxy: ProxyNode;
  readonly ports: readonly WorkloadPort[];
  readonly mtls: WorkloadMtls;
  readonly policies: readonly AuthorizationPolicy[];
  readonly jwtRules: readonly JwtRule[];
  /** Only those of the rules' keys. */
  readonly keySets: KeySets;
  readonly telemetry: ProxyTelemetry;
  /** Of the connections to the application. */
  readonly connectionPool: ConnectionPool | undefined;
}

export function workloadOf(snapshot: MeshSnapshot, proxy: ProxyNode): Workload {
  const subject = { namespace: proxy.namespace, labels: proxy.labels };
  const jwtRules = jwtRulesOf(snapshot.authentication, subject, snapshot.mesh);
  const sidecar = sidecarOf(snapshot.sidecars.index, subject, snapshot.mesh);
  const ingress = proxy.type === "sidecar" ? ingressOf(sidecar) : undefined;
  return {
    proxy,
    ports: ingress === undefined ? portsOf(snapshot, proxy) : ingress.map(ingressPort),
    mtls: mtlsOf(snapshot.mtls, subject, snapshot.mesh),
    policies: selecting(snapshot.authorization, subject, snapshot.mesh),
    jwtRules,
    keySets: keySetsOf(jwtRules, snapshot.keySets),
    telemetry: telemetryOf(snapshot, proxy),
    connectionPool: sidecar?.spec?.inboundConnectionPool,
  };
}

/** Whether a workload of one snapshot is that of an earlier one, because all that it is made of is the same. */
export function sameWorkload(snapshot: MeshSnapshot, before: MeshSnapshot, proxy: ProxyNode): boolean {
  const key = `${proxy.namespace}/${proxy.pod}`;
  return (
    sameShapes(snapshot.resources, before.resources) &&
    snapshot.resources.telemetries === before.resources.telemetries &&
    snapshot.resources.sidecars === before.resources.sidecars &&
    snapshot.mtls === before.mtls &&
    snapshot.authorization === before.authorization &&
    snapshot.authentication === before.authentication &&
    snapshot.keySets === before.keySets &&
    snapshot.mesh === before.mesh &&
    snapshot.resources.pods.get(key) === before.resources.pods.get(key)
  );
}

/** TLS that the proxy itself ends has requests in it where it is HTTPS. */
function ingressPort(ingress: IngressListener): WorkloadPort {
  const { number, host, tls, protocol: written } = ingress;
  const declared = written.toLowerCase();
  const protocol = tls !== undefined && declared === "https" ? "http" : (declaredProtocol(declared) ?? "sniffed");
  return { number, protocol, calledAs: `${host}:${number}`, ingress };
}

/** The target ports of every Service and ServiceEntry that selects the pod, known before the pod is ready and has an endpoint. */
function portsOf(snapshot: MeshSnapshot, proxy: ProxyNode): readonly WorkloadPort[] {
  const found = new Map<number, WorkloadPort>();
  for (const key of snapshot.serviceKeys.get(proxy.namespace) ?? []) {
    const resource = snapshot.resources.services.get(key);
    const selector = resource?.spec?.selector;
    if (resource === undefined || selector === undefined || Object.keys(selector).length === 0) continue;
    if (!matchesLabels(selector, proxy.labels)) continue;
    const service = snapshot.services.get(
      `${resource.metadata.name}.${proxy.namespace}.svc.${snapshot.mesh.clusterDomain}`,
    );
    for (const port of service?.ports ?? []) {
      for (const number of targetNumbers(port.targetPort, snapshot, proxy)) {
        const known = found.get(number);
        const protocol = widen(known?.protocol, port.protocol);
        found.set(number, { number, protocol, calledAs: known?.calledAs ?? `${service?.host}:${port.number}` });
      }
    }
  }
  for (const { number, protocol, calledAs } of entryPorts(snapshot, proxy)) {
    const known = found.get(number);
    const both = widen(known?.protocol, protocol);
    found.set(number, { number, protocol: both, calledAs: known?.calledAs ?? calledAs });
  }
  return [...found.values()].sort((a, b) => a.number - b.number);
}

function entryPorts(snapshot: MeshSnapshot, proxy: ProxyNode): readonly WorkloadPort[] {
  const own = [...snapshot.resources.serviceEntries.values()]
    .filter(
      ({ metadata, spec }) =>
        (metadata.namespace ?? "default") === proxy.namespace &&
        spec.workloadSelector !== undefined &&
        matchesLabels(spec.workloadSelector.labels, proxy.labels),
    )
    .sort(byAge);
  const ports = own.flatMap(({ spec }) => (spec.ports ?? []).map((port) => ({ ...port, host: spec.hosts[0] ?? "" })));
  return ports
    .map(({ number, targetPort, protocol, host }) => {
      return { number: targetPort ?? number, protocol: entryProtocol(protocol), calledAs: `${host}:${number}` };
    })
    .filter(({ protocol }) => protocol !== "udp");
}

/** Two Services that call the same port by different protocols leave it to each connection. */
function widen(known: Protocol | undefined, next: Protocol): Protocol {
  return known === undefined || known === next ? next : "sniffed";
}

function targetNumbers(targetPort: number | string, snapshot: MeshSnapshot, proxy: ProxyNode): readonly number[] {
  if (typeof targetPort === "number") return [targetPort];
  const pod = snapshot.resources.pods.get(`${proxy.namespace}/${proxy.pod}`);
  const ports = (pod?.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  return ports.filter((port) => port.name === targetPort).map((port) => port.containerPort);
}
