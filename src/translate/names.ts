// Istio's names of generated resources.

import type { Service } from "../model/service.ts";

export const PASSTHROUGH = "PassthroughCluster";
export const BLACK_HOLE = "BlackHoleCluster";
export const INBOUND_PASSTHROUGH = "InboundPassthroughCluster";

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

/** Every name by which a client of a namespace may call one pod of a headless service. */
export function podCallNames(service: Service, pod: string, address: string, clientNamespace: string): string[] {
  const names = callNames(service, clientNamespace).map((name) => `${pod}.${name}`);
  return [...(pod === "" ? [] : names), address.includes(":") ? `[${address}]` : address];
}

export function inboundName(port: number): string {
  return `inbound|${port}||`;
}

/** The server name that Istio's clients send: the cluster's name without characters that SNI forbids. */
export function outboundServerName(port: number, subset: string | undefined, host: string): string {
  return `outbound_.${port}_.${subset ?? ""}_.${host}`;
}

/** Every name by which a client of a namespace may call a service. */
export function callNames(service: Service, clientNamespace: string): readonly string[] {
  const { name, namespace } = service;
  const short = namespace === clientNamespace ? [name] : [];
  return [service.host, `${name}.${namespace}.svc`, `${name}.${namespace}`, ...short, ...service.addresses];
}
