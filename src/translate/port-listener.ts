// Outbound listeners by address and port, and those of a port at any address: where there is no address to tell the
// services of a port apart, the server name or the request's host does.

import { isTls, type Service, type ServicePort } from "../model/service.ts";
import type { CidrRange } from "../proto/gen/envoy/config/core/v3/address.ts";
import { TrafficDirection } from "../proto/gen/envoy/config/core/v3/base.ts";
import { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import {
  type Filter,
  FilterChain,
  FilterChainMatch,
} from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import { nameFilters } from "./dynamic-names.ts";
import { egressTarget, hasEgressProxy, policySource } from "./egress.ts";
import { connectionManager, outboundHttpFilters } from "./http-filters.ts";
import { BLACK_HOLE, PASSTHROUGH } from "./names.ts";
import { sniffedRouteName } from "./route.ts";
import { httpInspector, tcpProxy, tlsInspector } from "./tcp.ts";
import { cidr, type TcpChains } from "./tcp-route.ts";
import type { ClientView } from "./view.ts";
import { adsSource, durationOf, metadataOf, socketAddress } from "./wire.ts";

/** How long a silent connection is waited for before it counts as TCP: the server may be meant to speak first. */
const SNIFF_TIMEOUT_MS = 1_000;
export const ANY_ADDRESS = "0.0.0.0";
const PLAIN_HTTP = { transportProtocol: "raw_buffer", applicationProtocols: ["http/1.1", "http/1.0"] };

interface Addressed {
  readonly address: string;
  readonly number: number;
  readonly service: Service;
  readonly port: ServicePort;
  readonly chains: TcpChains;
}

/** One listener for each address and port. */
export class AddressListeners {
  readonly #view: ClientView;
  readonly #byName = new Map<string, Addressed[]>();

  constructor(view: ClientView) {
    this.#view = view;
  }

  add(at: Addressed): void {
    const name = `${at.address}_${at.number}`;
    const list = this.#byName.get(name);
    if (list === undefined) this.#byName.set(name, [at]);
    else list.push(at);
  }

  finish(): readonly Listener[] {
    return [...this.#byName].flatMap(([name, [first, ...others]]) =>
      first === undefined ? [] : [addressListener(this.#view, name, [first, ...others])],
    );
  }
}

/** The first has the address; of the others those that say a server name of their own are reached by it. */
function addressListener(
  view: ClientView,
  name: string,
  [first, ...others]: readonly [Addressed, ...Addressed[]],
): Listener {
  const { service, port } = first;
  const listener = unbound(name, first.address, first.number);
  const chains = new Chains();
  chains.add(first.chains.chains);
  const named = others.filter((each) => isTls(each.port) || each.chains.readsServerName);
  for (const each of named) {
    chains.add(each.chains.chains);
    if (isTls(each.port)) chains.add([serverNameChain(each)]);
  }
  const reads = first.chains.readsServerName || named.length > 0;
  if (port.protocol === "tcp") {
    listener.filterChains = chains.all;
    if (chains.all.length === 0) listener.filterChains = [first.chains.otherwise];
    else listener.defaultFilterChain = first.chains.otherwise;
    if (reads) listener.listenerFilters = [tlsInspector()];
    setSniffTimeout(listener, reads ? "sniffs" : "knows");
    return listener;
  }
  const http = FilterChain.fromPartial({ filterChainMatch: PLAIN_HTTP });
  http.filters = [manager(view, `outbound_${name}`, sniffedRouteName(service, port))];
  listener.filterChains = [http, ...chains.all];
  listener.defaultFilterChain = first.chains.otherwise;
  listener.listenerFilters = [tlsInspector(), httpInspector()];
  setSniffTimeout(listener, "sniffs");
  return listener;
}

interface AnyAddress {
  http: boolean;
  readsServerName: boolean;
  readonly chains: Chains;
  /** For what no condition fits: the first service that is plain TCP. */
  otherwise: FilterChain | undefined;
}

/** Where listeners of ports are. */
export interface ListenerPlace {
  /** Of a port: its name, address and routes. */
  at(port: number): { readonly listener: Listener; readonly routes: string };
  /** What connections get that are for none of the services. */
  foreign(): FilterChain;
}

/** One listener for each port at whatever address, or at one: HTTP, TLS by server name, ranges of addresses, and TCP. */
export class PortListeners {
  readonly #view: ClientView;
  readonly #place: ListenerPlace;
  readonly #ports = new Map<number, AnyAddress>();

  constructor(view: ClientView, place: ListenerPlace = anywhere(view)) {
    this.#view = view;
    this.#place = place;
  }

  addHttp(port: number): void {
    this.#at(port).http = true;
  }

  add(service: Service, port: ServicePort, tcp: TcpChains): void {
    const at = this.#at(port.number);
    const ranged = service.subnets.length > 0;
    const tls = isTls(port);
    at.readsServerName ||= tcp.readsServerName || (tls && !ranged);
    if (ranged) {
      at.chains.add([...tcp.chains, tcp.otherwise].map((each) => within(each, service.subnets)));
      return;
    }
    at.chains.add(tcp.chains);
    if (tls) at.chains.add([serverNameChain({ service, chains: tcp })]);
    else at.otherwise ??= tcp.otherwise;
  }

  finish(): readonly Listener[] {
    return [...this.#ports].sort(([a], [b]) => a - b).map(([port, parts]) => this.#listener(port, parts));
  }

  #at(port: number): AnyAddress {
    const known = this.#ports.get(port);
    if (known !== undefined) return known;
    const made: AnyAddress = { http: false, readsServerName: false, chains: new Chains(), otherwise: undefined };
    this.#ports.set(port, made);
    return made;
  }

  #listener(port: number, { http, chains, otherwise, readsServerName }: AnyAddress): Listener {
    const { listener, routes } = this.#place.at(port);
    const alone = chains.all.length === 0 && otherwise === undefined;
    const http1 = chain("", http ? [manager(this.#view, `outbound_${listener.name}`, routes)] : []);
    if (!alone) {
      // Beside plain TCP only what looks like HTTP is HTTP.
      const match = otherwise === undefined ? { transportProtocol: "raw_buffer" } : PLAIN_HTTP;
      http1.filterChainMatch = FilterChainMatch.fromPartial(match);
    }
    listener.filterChains = [...chains.all, ...(http ? [http1] : [])];
    if (listener.filterChains.length === 0 && otherwise !== undefined) listener.filterChains = [otherwise];
    else if (!alone) listener.defaultFilterChain = otherwise ?? this.#place.foreign();
    const sniffs = http && !alone;
    if (sniffs || readsServerName) listener.listenerFilters.push(tlsInspector());
    if (sniffs && otherwise !== undefined) listener.listenerFilters.push(httpInspector());
    setSniffTimeout(listener, sniffs || readsServerName ? "sniffs" : "knows");
    return listener;
  }
}

function anywhere(view: ClientView): ListenerPlace {
  return {
    at: (port) => ({ listener: unbound(`${ANY_ADDRESS}_${port}`, ANY_ADDRESS, port), routes: String(port) }),
    foreign: () => egressChain("", view),
  };
}

/** Of two chains for the same connections the first holds, and Envoy refuses the second. */
class Chains {
  readonly all: FilterChain[] = [];
  readonly #taken = new Set<string>();

  add(chains: readonly FilterChain[]): void {
    for (const each of chains) {
      const free = this.#freeOf(each.filterChainMatch ?? FilterChainMatch.fromPartial({}));
      if (free !== undefined) this.all.push({ ...each, filterChainMatch: free });
    }
  }

  /** The condition without the names, or else the ranges, that another chain has. */
  #freeOf(match: FilterChainMatch): FilterChainMatch | undefined {
    const { serverNames, prefixRanges, ...rest } = match;
    const others = JSON.stringify(FilterChainMatch.toJSON({ ...rest, serverNames: [], prefixRanges: [] }));
    const key = (range: CidrRange | undefined, name: string): string => `${others} ${JSON.stringify(range)} ${name}`;
    const ranges = prefixRanges.length === 0 ? [undefined] : prefixRanges;
    if (serverNames.length === 0) {
      const free = ranges.filter((range) => !this.#taken.has(key(range, "")));
      for (const range of free) this.#taken.add(key(range, ""));
      return free.length === 0 ? undefined : { ...match, prefixRanges: free.filter((range) => range !== undefined) };
    }
    const names = serverNames.filter((name) => ranges.every((range) => !this.#taken.has(key(range, name))));
    for (const name of names) for (const range of ranges) this.#taken.add(key(range, name));
    return names.length === 0 ? undefined : { ...match, serverNames: names };
  }
}

function serverNameChain({ service, chains }: Pick<Addressed, "service" | "chains">): FilterChain {
  const match = { serverNames: [service.host], transportProtocol: "tls" };
  return { ...chains.otherwise, filterChainMatch: FilterChainMatch.fromPartial(match) };
}

function within(from: FilterChain, subnets: readonly string[]): FilterChain {
  const match = from.filterChainMatch ?? FilterChainMatch.fromPartial({});
  if (match.prefixRanges.length > 0) return from;
  return { ...from, filterChainMatch: { ...match, prefixRanges: subnets.map(cidr) } };
}

/** Where connections go that are for no service: on to where they were meant for, or nowhere. */
export function egressChain(name: string, view: ClientView): FilterChain {
  const logs = view.telemetry.clientLogs;
  if (view.outboundTrafficPolicy !== "REGISTRY_ONLY") {
    const cluster = hasEgressProxy(view) ? egressTarget(view).cluster : PASSTHROUGH;
    return chain(name, [tcpProxy(cluster, undefined, logs)]);
  }
  const blocked = chain(name, [tcpProxy(BLACK_HOLE, undefined, logs)]);
  blocked.metadata = metadataOf(policySource(view));
  return blocked;
}

function setSniffTimeout(listener: Listener, looks: "sniffs" | "knows"): void {
  if (looks === "knows") return;
  listener.listenerFiltersTimeout = durationOf(SNIFF_TIMEOUT_MS);
  listener.continueOnListenerFiltersTimeout = true;
}

function unbound(name: string, address: string, port: number): Listener {
  return Listener.fromPartial({
    name,
    address: socketAddress(address, port),
    bindToPort: false,
    trafficDirection: TrafficDirection.OUTBOUND,
  });
}

function manager(view: ClientView, statPrefix: string, routeConfigName: string): Filter {
  return connectionManager({
    mesh: view.snapshot.mesh,
    statPrefix,
    direction: "outbound",
    route: { $case: "rds", value: { configSource: adsSource(), routeConfigName } },
    filters: outboundHttpFilters(view.telemetry, nameFilters(view)),
    telemetry: view.telemetry,
  });
}

export function chain(name: string, filters: Filter[]): FilterChain {
  const out = FilterChain.fromPartial({ name });
  out.filters = filters;
  return out;
}
