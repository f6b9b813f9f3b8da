// Listeners for what the application sends.

import type { Service, ServicePort } from "../model/service.ts";
import { TrafficDirection } from "../proto/gen/envoy/config/core/v3/base.ts";
import { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import { type Filter, FilterChain } from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import { podEndpoints } from "./cluster.ts";
import { connectionManager, outboundHttpFilters } from "./http-filters.ts";
import type { DeadEnd } from "./http-route.ts";
import { BLACK_HOLE, OUTBOUND_PORT, PASSTHROUGH, podName } from "./names.ts";
import { EXPLICIT_ROUTES, httpPorts, sniffedRouteName } from "./route.ts";
import { httpInspector, originalDst, tcpProxy, tlsInspector } from "./tcp.ts";
import { type TcpChains, tcpChains } from "./tcp-route.ts";
import type { ClientView } from "./view.ts";
import { adsSource, durationOf, socketAddress } from "./wire.ts";

/** How long a silent connection is waited for before it counts as TCP: the server may be meant to speak first. */
const SNIFF_TIMEOUT_MS = 1_000;
const ANY_ADDRESS = "0.0.0.0";

export interface OutboundListeners {
  readonly listeners: readonly Listener[];
  readonly deadEnds: readonly DeadEnd[];
}

/** `address` is where the explicit mode listens: the pod's own. */
export function outboundListeners(view: ClientView, address: string): OutboundListeners {
  if (view.mode === "NONE") return { listeners: [explicitListener(view, address)], deadEnds: [] };
  const listeners = [virtualOutbound(view), ...httpPorts(view).map((port) => portListener(view, port))];
  const deadEnds: DeadEnd[] = [];
  const taken = new Set<string>();
  const add = (at: AddressPort, chains: TcpChains): void => {
    if (taken.has(at.name)) return;
    taken.add(at.name);
    listeners.push(addressListener(view, at, chains));
  };
  for (const service of view.services) {
    for (const port of service.ports) {
      if (port.protocol !== "tcp" && port.protocol !== "sniffed") continue;
      const chains = tcpChains(service, port, view);
      deadEnds.push(...chains.deadEnds);
      for (const address of service.addresses) {
        add({ name: `${address}_${port.number}`, address, number: port.number, service, port }, chains);
      }
      for (const { address, port: number, hasSidecar } of podEndpoints(service, port)) {
        const otherwise = chain("", [tcpProxy(podName(port.number, service.host, hasSidecar))]);
        const own = { chains: [], otherwise, deadEnds: [], readsServerName: false };
        add({ name: `${address}_${number}`, address, number, service, port }, own);
      }
    }
  }
  return { listeners, deadEnds };
}

/** Takes every captured connection and hands it to the listener of its original destination. */
function virtualOutbound(view: ClientView): Listener {
  const egress = view.snapshot.mesh.outboundTrafficPolicy === "ALLOW_ANY" ? PASSTHROUGH : BLACK_HOLE;
  const listener = Listener.fromPartial({
    name: "virtualOutbound",
    address: socketAddress(ANY_ADDRESS, OUTBOUND_PORT),
    useOriginalDst: true,
    trafficDirection: TrafficDirection.OUTBOUND,
  });
  // A connection to the proxy's own port would be passed to itself for ever.
  const loop = FilterChain.fromPartial({
    name: "virtualOutbound-blackhole",
    filterChainMatch: { destinationPort: OUTBOUND_PORT },
  });
  loop.filters = [tcpProxy(BLACK_HOLE)];
  listener.filterChains = [loop, chain("virtualOutbound-catchall-tcp", [tcpProxy(egress)])];
  listener.listenerFilters = [originalDst()];
  return listener;
}

function portListener(view: ClientView, port: number): Listener {
  const listener = unbound(`${ANY_ADDRESS}_${port}`, ANY_ADDRESS, port);
  listener.filterChains = [chain("", [manager(view, `outbound_${ANY_ADDRESS}_${port}`, String(port))])];
  return listener;
}

interface AddressPort {
  readonly name: string;
  readonly address: string;
  readonly number: number;
  readonly service: Service;
  readonly port: ServicePort;
}

function addressListener(
  view: ClientView,
  { name, address, number, service, port }: AddressPort,
  tcp: TcpChains,
): Listener {
  const listener = unbound(name, address, number);
  if (port.protocol === "tcp") {
    listener.filterChains = [...tcp.chains];
    if (tcp.chains.length === 0) listener.filterChains = [tcp.otherwise];
    else listener.defaultFilterChain = tcp.otherwise;
    if (tcp.readsServerName) listener.listenerFilters = [tlsInspector()];
    setSniffTimeout(listener, tcp.readsServerName);
    return listener;
  }
  const http = FilterChain.fromPartial({
    filterChainMatch: { transportProtocol: "raw_buffer", applicationProtocols: ["http/1.1", "http/1.0"] },
  });
  http.filters = [manager(view, `outbound_${name}`, sniffedRouteName(service, port))];
  listener.filterChains = [http, ...tcp.chains];
  listener.defaultFilterChain = tcp.otherwise;
  listener.listenerFilters = [tlsInspector(), httpInspector()];
  setSniffTimeout(listener, true);
  return listener;
}

function setSniffTimeout(listener: Listener, sniffs: boolean): void {
  if (!sniffs) return;
  listener.listenerFiltersTimeout = durationOf(SNIFF_TIMEOUT_MS);
  listener.continueOnListenerFiltersTimeout = true;
}

function explicitListener({ telemetry }: ClientView, address: string): Listener {
  const listener = Listener.fromPartial({
    name: EXPLICIT_ROUTES,
    address: socketAddress(address, OUTBOUND_PORT),
    trafficDirection: TrafficDirection.OUTBOUND,
  });
  const filters = outboundHttpFilters();
  const http = connectionManager({
    statPrefix: EXPLICIT_ROUTES,
    direction: "outbound",
    route: { $case: "rds", value: { configSource: adsSource(), routeConfigName: EXPLICIT_ROUTES } },
    filters,
    telemetry,
    explicit: true,
  });
  listener.filterChains = [chain("", [http])];
  return listener;
}

function unbound(name: string, address: string, port: number): Listener {
  return Listener.fromPartial({
    name,
    address: socketAddress(address, port),
    bindToPort: false,
    trafficDirection: TrafficDirection.OUTBOUND,
  });
}

function manager({ telemetry }: ClientView, statPrefix: string, routeConfigName: string): Filter {
  return connectionManager({
    statPrefix,
    direction: "outbound",
    route: { $case: "rds", value: { configSource: adsSource(), routeConfigName } },
    filters: outboundHttpFilters(),
    telemetry,
  });
}

function chain(name: string, filters: Filter[]): FilterChain {
  const out = FilterChain.fromPartial({ name });
  out.filters = filters;
  return out;
}
