// Service: one name and address for the pods behind a selector.

import { isIP } from "node:net";
import type { Static } from "typebox";
import { ageColumn, mapCell, nameColumn } from "../columns.ts";
import { errorIssue, type Issue } from "../issue.ts";
import type { Kind } from "../kind.ts";
import { isDns1035Label, isDnsLabel, isPortNumber } from "../names.ts";
import type { KubeObject } from "../object.ts";
import {
  atomic,
  flag,
  int32,
  int64,
  intOrString,
  list,
  mergeList,
  oneOf,
  struct,
  text,
  textMap,
  texts,
  time,
  withDefault,
} from "./fields.ts";

const servicePort = struct(
  { port: int32 },
  {
    name: text,
    protocol: withDefault(oneOf("TCP", "UDP", "SCTP"), "TCP"),
    targetPort: intOrString,
    nodePort: int32,
    appProtocol: text,
  },
);
export type ServicePort = Static<typeof servicePort>;

const serviceSpec = struct(
  {},
  {
    type: oneOf("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    selector: atomic(textMap),
    ports: mergeList(servicePort, "port", ["port", "protocol"]),
    clusterIP: text,
    clusterIPs: texts,
    ipFamilies: texts,
    ipFamilyPolicy: text,
    externalIPs: texts,
    externalName: text,
    externalTrafficPolicy: text,
    internalTrafficPolicy: text,
    healthCheckNodePort: int32,
    allocateLoadBalancerNodePorts: flag,
    loadBalancerClass: text,
    loadBalancerIP: text,
    loadBalancerSourceRanges: texts,
    publishNotReadyAddresses: flag,
    sessionAffinity: oneOf("None", "ClientIP"),
    sessionAffinityConfig: struct({}, { clientIP: struct({}, { timeoutSeconds: int32 }) }),
    trafficDistribution: text,
  },
);
type ServiceSpec = Static<typeof serviceSpec>;

const ingress = struct(
  {},
  {
    ip: text,
    hostname: text,
    ipMode: text,
    ports: list(struct({ port: int32, protocol: text }, { error: text })),
  },
);
const condition = struct(
  { type: text, status: text },
  { reason: text, message: text, lastTransitionTime: time, observedGeneration: int64 },
);
const serviceStatus = struct(
  {},
  { loadBalancer: struct({}, { ingress: list(ingress) }), conditions: mergeList(condition, "type") },
);
type ServiceStatus = Static<typeof serviceStatus>;

export interface Service extends KubeObject {
  readonly spec: ServiceSpec;
  readonly status?: ServiceStatus;
}

export const serviceKind: Kind<Service> = {
  group: "",
  versions: ["v1"],
  kind: "Service",
  plural: "services",
  singular: "service",
  shortNames: ["svc"],
  categories: ["all"],
  namespaced: true,
  origin: "builtin",
  subresources: ["status"],
  schema: struct({ spec: serviceSpec }, { status: serviceStatus }),
  columns: [
    nameColumn,
    { name: "Type", type: "string", priority: 0, value: (service) => service.spec.type ?? "ClusterIP" },
    { name: "Cluster-IP", type: "string", priority: 0, value: clusterIpCell },
    { name: "External-IP", type: "string", priority: 0, value: externalIpCell },
    { name: "Port(s)", type: "string", priority: 0, value: portsCell },
    ageColumn,
    { name: "Selector", type: "string", priority: 1, value: (service) => mapCell(service.spec.selector) },
  ],
  applyDefaults: serviceDefaults,
  check: checkService,
};

function clusterIpCell(service: Service): string {
  const address = service.spec.clusterIP ?? "";
  return address === "" ? "<none>" : address;
}

function externalIpCell(service: Service): string {
  const given = service.spec.externalIPs ?? [];
  const ingresses = (service.status?.loadBalancer?.ingress ?? []).map((entry) => entry.ip ?? entry.hostname ?? "");
  const type = service.spec.type ?? "ClusterIP";
  if (type === "ExternalName") return service.spec.externalName ?? "<none>";
  const all = type === "LoadBalancer" ? [...ingresses, ...given] : given;
  if (all.length > 0) return all.join(",");
  return type === "LoadBalancer" ? "<pending>" : "<none>";
}

function portsCell(service: Service): string {
  const ports = service.spec.ports ?? [];
  if (ports.length === 0) return "<none>";
  return ports
    .map(({ port, nodePort, protocol = "TCP" }) => `${port}${nodePort === undefined ? "" : `:${nodePort}`}/${protocol}`)
    .join(",");
}

/** Everything but the address itself, which the API server gives out (`clusterIP` stays empty here). */
function serviceDefaults(service: Service): Service {
  const { spec } = service;
  const type = spec.type ?? "ClusterIP";
  const ports = spec.ports?.map((port) => ({ protocol: "TCP" as const, targetPort: port.port, ...port }));
  const internal = type === "ExternalName" ? {} : { internalTrafficPolicy: "Cluster", ...singleStack(spec) };
  const external = type === "NodePort" || type === "LoadBalancer" ? { externalTrafficPolicy: "Cluster" } : {};
  const balancer = type === "LoadBalancer" ? { allocateLoadBalancerNodePorts: true } : {};
  return {
    ...service,
    spec: {
      sessionAffinity: "None",
      ...internal,
      ...external,
      ...balancer,
      ...spec,
      type,
      ...(ports === undefined ? {} : { ports }),
    },
    status: { loadBalancer: {}, ...service.status },
  };
}

function singleStack(spec: ServiceSpec): Partial<ServiceSpec> {
  const address = spec.clusterIP ?? "";
  return {
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
    ...(address === "" ? {} : { clusterIPs: [address] }),
  };
}

function checkService(service: Service, previous: Service | undefined): Issue[] {
  const { spec } = service;
  const issues: Issue[] = [];
  if (!isDns1035Label(service.metadata.name)) {
    issues.push(
      errorIssue(
        "metadata.name",
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
      ),
    );
  }
  const ports = spec.ports ?? [];
  if (ports.length === 0 && spec.type !== "ExternalName" && spec.clusterIP !== "None") {
    issues.push(errorIssue("spec.ports", "", "required"));
  }
  issues.push(...checkPorts(ports));
  if (spec.type === "ExternalName" && (spec.externalName ?? "") === "") {
    issues.push(errorIssue("spec.externalName", "", "required"));
  }
  const address = spec.clusterIP ?? "";
  if (address !== "" && address !== "None" && isIP(address) === 0) {
    issues.push(errorIssue("spec.clusterIPs[0]", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
  }
  const before = previous?.spec.type === "ExternalName" ? "" : (previous?.spec.clusterIP ?? "");
  if (before !== "" && spec.type !== "ExternalName" && address !== before) {
    issues.push(errorIssue("spec.clusterIPs[0]", "may not change once set"));
  }
  return issues;
}

function checkPorts(ports: readonly ServicePort[]): Issue[] {
  const issues: Issue[] = [];
  const seen = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `spec.ports[${index}]`;
    if (!isPortNumber(port.port)) issues.push(errorIssue(`${at}.port`, "must be between 1 and 65535, inclusive"));
    if (typeof port.targetPort === "number" && !isPortNumber(port.targetPort)) {
      issues.push(errorIssue(`${at}.targetPort`, "must be between 1 and 65535, inclusive"));
    }
    const name = port.name ?? "";
    if (name === "" && ports.length > 1) issues.push(errorIssue(`${at}.name`, "", "required"));
    if (name !== "" && !isDnsLabel(name)) issues.push(errorIssue(`${at}.name`, "must be a DNS-1123 label"));
    if (name !== "" && seen.has(name)) issues.push(errorIssue(`${at}.name`, "", "duplicate"));
    const key = `${port.port}/${port.protocol ?? "TCP"}`;
    if (seen.has(key)) issues.push(errorIssue(at, "", "duplicate"));
    seen.add(name).add(key);
  }
  return issues;
}
