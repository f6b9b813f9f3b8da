// Istio's names of generated resources.

import { isExportedTo } from "../model/hosts.ts";
import type { Service } from "../model/service.ts";
import { addressesOf, type ClientView } from "./view.ts";

export const PASSTHROUGH = "PassthroughCluster";
export const BLACK_HOLE = "BlackHoleCluster";
export const INBOUND_PASSTHROUGH = "InboundPassthroughCluster";

/** The agent's own sockets: clusters that a sidecar's bootstrap has. */
export const AGENT_CLUSTER = "sds-grpc";
export const AGENT_SPANS_CLUSTER = "agent-spans";

export const OUTBOUND_PORT = 15_001;
export const INBOUND_PORT = 15_006;

/** What explicit-mode peers ask for instead of an original destination. */
export function explicitServerName(port: number): string {
  return `inbound-${port}.weft.internal`;
}

export function outboundName(port: number, subset: string | undefined, host: string): string {
  return `outbound|${port}|${subset ?? ""}|${host}`;
}

/** To the very pod of a headless service that a client named: by the mesh's TLS, or without where it has no sidecar. */
export function podName(port: number, host: string, hasSidecar: boolean): string {
  return `outbound|${port}|${hasSidecar ? "pod" : "pod-plain"}.weft.dev|${host}`;
}

/** To a backend of traces. */
export function tracesName(port: number, host: string): string {
  return `outbound|${port}|traces.weft.dev|${host}`;
}

/** Every name by which a client may call one pod of a headless service. */
export function podCallNames(
  service: Service,
  pod: { readonly name: string; readonly address: string },
  view: ClientView,
) {
  const names = callNames(service, view).map((name) => `${pod.name}.${name}`);
  return [...(pod.name === "" ? [] : names), domainOf(pod.address)];
}

export function inboundName(port: number): string {
  return `inbound|${port}||`;
}

/** The server name that Istio's clients send: the cluster's name without characters that SNI forbids. */
export function outboundServerName(port: number, subset: string | undefined, host: string): string {
  return `outbound_.${port}_.${subset ?? ""}_.${host}`;
}

/** Every name by which a client may call a service. */
export function callNames(service: Service, view: ClientView): readonly string[] {
  const aliases = view.snapshot.index.aliases.filter(
    (each) => each.target === service.host && isExportedTo(each.exportTo, each.namespace, view.namespace),
  );
  const others = aliases.flatMap((alias) => clusterNames(alias, view.namespace));
  const own = service.source.kind === "Service" ? clusterNames(service, view.namespace) : [service.host];
  return [...own, ...addressesOf(service, view).map(domainOf), ...others];
}

/** Short names are those of Kubernetes' services; the shortest one only within the namespace. */
export function clusterNames(
  { host, name, namespace }: Pick<Service, "host" | "name" | "namespace">,
  clientNamespace: string,
) {
  const short = namespace === clientNamespace ? [name] : [];
  return [host, `${name}.${namespace}.svc`, `${name}.${namespace}`, ...short];
}

/** An address as a Host header says it. */
function domainOf(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
