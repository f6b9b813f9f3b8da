// Listeners for what the application sends.

import { TrafficDirection } from "../proto/gen/envoy/config/core/v3/base.ts";
import { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import { FilterChain } from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import { nameFilters } from "./dynamic-names.ts";
import { connectionManager, outboundHttpFilters } from "./http-filters.ts";
import type { DeadEnd } from "./http-route.ts";
import { BLACK_HOLE, OUTBOUND_PORT, podName } from "./names.ts";
import { AddressListeners, ANY_ADDRESS, chain, egressChain, PortListeners } from "./port-listener.ts";
import { EXPLICIT_ROUTES, httpPorts } from "./route.ts";
import { podEndpoints } from "./target.ts";
import { originalDst, tcpProxy } from "./tcp.ts";
import { tcpChains } from "./tcp-route.ts";
import { addressesOf, type ClientView } from "./view.ts";
import { adsSource, socketAddress } from "./wire.ts";

export interface OutboundListeners {
  readonly listeners: readonly Listener[];
  readonly deadEnds: readonly DeadEnd[];
}

/** `address` is where the explicit mode listens: the pod's own. */
export function outboundListeners(view: ClientView, address: string): OutboundListeners {
  if (view.mode === "NONE") return { listeners: [explicitListener(view, address)], deadEnds: [] };
  const deadEnds: DeadEnd[] = [];
  const anywhere = new PortListeners(view);
  const somewhere = new AddressListeners(view);
  for (const port of httpPorts(view)) anywhere.addHttp(port);
  for (const service of view.services) {
    for (const port of service.ports) {
      if (port.protocol !== "tcp" && port.protocol !== "sniffed") continue;
      const chains = tcpChains(service, port, view);
      deadEnds.push(...chains.deadEnds);
      const addresses = addressesOf(service, view);
      for (const each of addresses) somewhere.add({ address: each, number: port.number, service, port, chains });
      // Whoever calls a host that has no address of the mesh's calls whatever address the host has.
      if (addresses.length === 0 && service.source.kind === "ServiceEntry") anywhere.add(service, port, chains);
      for (const { address: pod, port: number, hasSidecar } of podEndpoints(service, port)) {
        const otherwise = chain("", [
          tcpProxy(podName(port.number, service.host, hasSidecar), undefined, view.telemetry.clientLogs),
        ]);
        const own = { chains: [], otherwise, deadEnds: [], readsServerName: false };
        somewhere.add({ address: pod, number, service, port, chains: own });
      }
    }
  }
  return { listeners: [virtualOutbound(view), ...anywhere.finish(), ...somewhere.finish()], deadEnds };
}

/** Takes every captured connection and hands it to the listener of its original destination. */
function virtualOutbound(view: ClientView): Listener {
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
  listener.filterChains = [loop, egressChain("virtualOutbound-catchall-tcp", view)];
  listener.listenerFilters = [originalDst()];
  return listener;
}

function explicitListener(view: ClientView, address: string): Listener {
  const listener = Listener.fromPartial({
    name: EXPLICIT_ROUTES,
    address: socketAddress(address, OUTBOUND_PORT),
    trafficDirection: TrafficDirection.OUTBOUND,
  });
  const filters = outboundHttpFilters(view.telemetry, nameFilters(view));
  const http = connectionManager({
    mesh: view.snapshot.mesh,
    statPrefix: EXPLICIT_ROUTES,
    direction: "outbound",
    route: { $case: "rds", value: { configSource: adsSource(), routeConfigName: EXPLICIT_ROUTES } },
    filters,
    telemetry: view.telemetry,
    explicit: true,
  });
  listener.filterChains = [chain("", [http])];
  return listener;
}
