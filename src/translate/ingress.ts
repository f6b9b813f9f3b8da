// Where a Sidecar has a proxy listen for its application, and where the application is.

import type { MeshConfig } from "../model/mesh-config.ts";
import type { IngressEndpoint, IngressListener } from "../model/sidecar.ts";
import type { Address } from "../proto/gen/envoy/config/core/v3/address.ts";
import type { ProxyNode } from "./proxy.ts";
import { pipeAddress, socketAddress } from "./wire.ts";
import type { WorkloadPort } from "./workload.ts";

/** The address that the proxy binds for it; undefined: calls to the port are led to the one listener of all. */
export function bindingOf(
  { bind, capture, endpoint }: IngressListener,
  { mode, address }: ProxyNode,
): string | undefined {
  // In explicit mode nothing is led anywhere, but the application itself is on the pod's address.
  const asOthers = mode === "NONE" && bind !== "";
  if (capture === "yes" || (capture === "as-others" && !asOthers)) return undefined;
  if (bind !== "") return bind;
  if (mode === "REDIRECT") return "0.0.0.0";
  return endpoint.kind === "called" ? undefined : address;
}

/** Undefined: where the call was going. */
export function applicationAddress(
  { number, ingress }: WorkloadPort,
  proxy: ProxyNode,
  { settings }: Pick<MeshConfig, "settings">,
): Address | undefined {
  const explicit = proxy.mode === "NONE";
  const endpoint = ingress?.endpoint ?? { kind: "called" };
  if (endpoint.kind !== "called") return endpointAddress(endpoint, proxy);
  if (explicit) return socketAddress(proxy.address, number);
  // What calls a listener of its own was meant for that one.
  const bound = ingress !== undefined && bindingOf(ingress, proxy) !== undefined;
  const local = bound || settings.inboundTrafficPolicy?.mode === "LOCALHOST";
  return local ? socketAddress("127.0.0.1", number) : undefined;
}

export function endpointAddress(
  endpoint: Exclude<IngressEndpoint, { readonly kind: "called" }>,
  proxy: ProxyNode,
): Address {
  if (endpoint.kind === "unix") return pipeAddress(`unix://${endpoint.path}`);
  // In explicit mode the pod's address is a loopback address: the one that its application has to itself.
  if (endpoint.kind === "own" || proxy.mode === "NONE") return socketAddress(proxy.address, endpoint.port);
  return socketAddress(endpoint.family === 6 ? "::1" : "127.0.0.1", endpoint.port);
}
