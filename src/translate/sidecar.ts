// Listeners that a Sidecar's egress puts at addresses of its own, and their routes.

import { isUnix } from "../api/istio/endpoint-text.ts";
import { declaredProtocol, type Service } from "../model/service.ts";
import type { EgressListener } from "../model/sidecar.ts";
import { TrafficDirection } from "../proto/gen/envoy/config/core/v3/base.ts";
import { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import type { DeadEnd } from "./http-route.ts";
import { BLACK_HOLE } from "./names.ts";
import { chain, PortListeners } from "./port-listener.ts";
import { type BuiltRouteConfig, placedConfig } from "./route.ts";
import { tcpProxy } from "./tcp.ts";
import { tcpChains } from "./tcp-route.ts";
import type { ClientView } from "./view.ts";
import { pipeAddress, socketAddress } from "./wire.ts";

export interface SidecarListeners {
  readonly listeners: readonly Listener[];
  readonly routes: readonly BuiltRouteConfig[];
  readonly deadEnds: readonly DeadEnd[];
}

const LOOPBACK = "127.0.0.1";

/** `address`: the pod's, where pods share one loopback. */
export function sidecarListeners(view: ClientView, address: string): SidecarListeners {
  const parts = view.apart.map(({ listener, services, routes }) => {
    const own = { ...view, routes, services: services.map((each) => asDeclared(each, listener)) };
    return listenersOf(listener, own, address);
  });
  return {
    listeners: parts.flatMap(({ listeners }) => listeners),
    routes: parts.flatMap(({ routes }) => routes),
    deadEnds: parts.flatMap(({ deadEnds }) => deadEnds),
  };
}

/** The listener's protocol holds for ports that say none; where it is TCP, for all. What is no HTTP is not on one of HTTP. */
function asDeclared(service: Service, { protocol }: EgressListener): Service {
  const declared = declaredProtocol(protocol.toLowerCase());
  if (declared === undefined) return service;
  const ports = service.ports.filter((port) => declared === "tcp" || port.protocol !== "tcp");
  return { ...service, ports: ports.map((port) => ({ ...port, protocol: declared })) };
}

function listenersOf(listener: EgressListener, view: ClientView, address: string): SidecarListeners {
  const { port: given } = listener;
  const place = new Place(listener, view, address);
  const listeners = new PortListeners(view, place);
  const deadEnds: DeadEnd[] = [];
  const http = new Set<number | undefined>();
  for (const service of view.services) {
    for (const port of service.ports) {
      // A unix socket has no port: all that speak HTTP share it, told apart by the host that a request names.
      const at = isUnix(listener.bind) ? 0 : port.number;
      if (port.protocol !== "tcp") {
        listeners.addHttp(at);
        http.add(isUnix(listener.bind) ? undefined : port.number);
      }
      if (port.protocol !== "tcp" && port.protocol !== "sniffed") continue;
      const chains = tcpChains(service, port, view);
      deadEnds.push(...chains.deadEnds);
      listeners.add({ ...service, subnets: [] }, { ...port, number: at }, chains);
    }
  }
  // Without any of its hosts it still answers, as one of none.
  if (http.size === 0 && declaredProtocol(listener.protocol.toLowerCase()) === "http") {
    listeners.addHttp(given ?? 0);
    http.add(given);
  }
  const routes = [...http].map((port) => placedConfig(place.routeName(port ?? 0), port, view));
  return { listeners: listeners.finish(), routes, deadEnds };
}

class Place {
  readonly #listener: EgressListener;
  readonly #view: ClientView;
  readonly #address: string;

  constructor(listener: EgressListener, view: ClientView, address: string) {
    this.#listener = listener;
    this.#view = view;
    this.#address = address;
  }

  at(port: number): { readonly listener: Listener; readonly routes: string } {
    const { bind, bound } = this.#listener;
    const bindToPort = bound || this.#view.mode === "NONE";
    const listener = Listener.fromPartial({ bindToPort, trafficDirection: TrafficDirection.OUTBOUND });
    if (isUnix(bind)) {
      listener.name = bind;
      listener.address = pipeAddress(bind);
    } else {
      // In explicit mode pods share one loopback, so each listens on its own address.
      const host = bind !== "" ? bind : this.#view.mode === "NONE" ? this.#address : LOOPBACK;
      listener.name = `${host}_${port}`;
      listener.address = socketAddress(host, port);
    }
    return { listener, routes: this.routeName(port) };
  }

  /** The same for all proxies that see the same. */
  routeName(port: number): string {
    const { bind } = this.#listener;
    return isUnix(bind) ? bind : `${bind === "" ? LOOPBACK : bind}:${port}`;
  }

  foreign() {
    return chain("", [tcpProxy(BLACK_HOLE, undefined, this.#view.telemetry.clientLogs)]);
  }
}
