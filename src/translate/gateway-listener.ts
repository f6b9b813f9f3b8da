// Listeners of gateways: one of each port, with a filter chain for each server that has a name of its own.

import { isUnix } from "../api/istio/endpoint-text.ts";
import { endsInHttp, hostsInCommon, type MergedPort, type PlacedServer, passesThrough } from "../model/gateway.ts";
import { hostMatches } from "../model/hosts.ts";
import { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import {
  type Filter,
  FilterChain,
  FilterChainMatch,
} from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import { accessFilters } from "./access.ts";
import { nameFilters } from "./dynamic-names.ts";
import { defaultEndpointName, passedName, passedTargets } from "./gateway-endpoint.ts";
import {
  boundTo,
  type GatewayRoutes,
  gatewayRoutes,
  httpRouteName,
  httpsRouteName,
  serverOf,
} from "./gateway-route.ts";
import { serverSocket } from "./gateway-tls.ts";
import { connectionManager, gatewayHttpFilters } from "./http-filters.ts";
import type { DeadEnd } from "./http-route.ts";
import { BLACK_HOLE } from "./names.ts";
import { tcpRbacFilters } from "./rbac.ts";
import { tcpProxy, tlsInspector } from "./tcp.ts";
import { ChainBuilder } from "./tcp-route.ts";
import type { ClientView } from "./view.ts";
import { adsSource, metadataOf, pipeAddress, socketAddress } from "./wire.ts";
import type { Workload } from "./workload.ts";

export interface GatewayListener {
  readonly listener: Listener;
  readonly routes: readonly GatewayRoutes[];
  readonly deadEnds: readonly DeadEnd[];
}

export interface EdgeContext {
  readonly view: ClientView;
  readonly workload: Workload;
  /** Where a server listens that names no address. */
  readonly anyAddress: string;
}

export function gatewayListener(port: MergedPort, context: EdgeContext): GatewayListener {
  // Without a direction, as whatever may come from outside: it drains with the gateway.
  const listener = Listener.fromPartial({
    name: `${port.bind}_${port.number}`,
    address: isUnix(port.bind) ? pipeAddress(port.bind) : socketAddress(port.bind, port.number),
  });
  switch (port.family) {
    case "http":
      return httpListener(listener, port, context);
    case "tls":
      return tlsListener(listener, port, context);
    case "tcp":
      return tcpListener(listener, port, context);
  }
}

function httpListener(listener: Listener, port: MergedPort, context: EdgeContext): GatewayListener {
  const name = httpRouteName(port, context.anyAddress);
  const routes = gatewayRoutes(name, port.servers, context.view);
  const chain = FilterChain.fromPartial({});
  chain.filters = [manager(name, context)];
  listener.filterChains = [chain];
  return { listener, routes: [routes], deadEnds: routes.deadEnds };
}

function tlsListener(listener: Listener, port: MergedPort, context: EdgeContext): GatewayListener {
  const routes: GatewayRoutes[] = [];
  const deadEnds: DeadEnd[] = [];
  listener.listenerFilters = [tlsInspector()];
  for (const server of port.servers) {
    const { tls } = server.spec;
    if (endsInHttp(server.spec) && tls !== undefined) {
      const name = httpsRouteName(server);
      const built = gatewayRoutes(name, [server], context.view, port.servers);
      routes.push(built);
      deadEnds.push(...built.deadEnds);
      const chain = namedChain(server, [manager(name, context)]);
      chain.transportSocket = serverSocket(tls, "http", servingOf(context));
      listener.filterChains.push(chain);
      continue;
    }
    const built = layer4(server, context, port.servers);
    deadEnds.push(...built.deadEnds);
    for (const chain of built.chains) listener.filterChains.push(chain);
  }
  listener.filterChains = distinct(listener.filterChains);
  return { listener, routes, deadEnds };
}

function tcpListener(listener: Listener, port: MergedPort, context: EdgeContext): GatewayListener {
  const deadEnds: DeadEnd[] = [];
  for (const server of port.servers) {
    const built = layer4(server, context, port.servers);
    deadEnds.push(...built.deadEnds);
    for (const chain of built.chains) {
      if (chain.filterChainMatch !== undefined) listener.filterChains.push(chain);
      else listener.defaultFilterChain ??= chain;
    }
  }
  listener.filterChains = distinct(listener.filterChains);
  if (listener.filterChains.length === 0 && listener.defaultFilterChain !== undefined) {
    listener.filterChains = [listener.defaultFilterChain];
    listener.defaultFilterChain = undefined;
  }
  return { listener, routes: [], deadEnds };
}

/** A listener with two chains for the same connections is refused as a whole: the first has them. */
function distinct(chains: readonly FilterChain[]): FilterChain[] {
  const byMatch = new Map<string, FilterChain>();
  for (const chain of chains) {
    const key = JSON.stringify(FilterChainMatch.toJSON(chain.filterChainMatch ?? FilterChainMatch.fromPartial({})));
    if (!byMatch.has(key)) byMatch.set(key, chain);
  }
  return [...byMatch.values()];
}

interface Layer4 {
  readonly chains: readonly FilterChain[];
  readonly deadEnds: readonly DeadEnd[];
}

/** Connections as a whole: by the server name that a client asks for, or to where the one rule leads. */
function layer4(server: PlacedServer, context: EdgeContext, beside: readonly PlacedServer[]): Layer4 {
  if (server.spec.tls?.mode === "AUTO_PASSTHROUGH") return passed(server, context);
  const { tls, port } = server.spec;
  const builder = new ChainBuilder(port.number, { ...context.view, gateway: server.gateway });
  const passes = tls !== undefined && passesThrough(tls);
  for (const bound of boundTo(server, context.view)) {
    const common = hostsInCommon(server, bound);
    if (common.length === 0) continue;
    const serves = (name: string): boolean =>
      common.some((host) => hostMatches(host, name.toLowerCase())) && serverOf(name.toLowerCase(), beside) === server;
    if (passes) for (const rule of bound.tls) builder.addTls(rule, serves);
    else for (const rule of bound.tcp) builder.addTcp(rule);
  }
  const fallback = fallbackChain(server, context);
  if (passes && fallback !== undefined) builder.chains.push(fallback);
  else builder.otherwise ??= fallback;
  const chains = passes ? builder.chains : terminated(server, builder, context);
  const access = tcpRbacFilters(context.workload.policies, rbacTarget(context));
  for (const chain of chains) chain.filters = [...access, ...chain.filters];
  return { chains: chains.length > 0 ? chains : [nowhere(server)], deadEnds: builder.deadEnds };
}

/** To where the server leads what no rule takes. */
function fallbackChain(server: PlacedServer, { view }: EdgeContext): FilterChain | undefined {
  const name = defaultEndpointName(server);
  if (name === undefined) return undefined;
  const filters = [tcpProxy(name, undefined, view.telemetry.clientLogs)];
  if (server.spec.tls !== undefined) return namedChain(server, filters);
  const chain = FilterChain.fromPartial({});
  chain.filters = filters;
  return chain;
}

/** The server name itself says where the mesh's TLS goes on to. */
function passed(server: PlacedServer, context: EdgeContext): Layer4 {
  const { view, workload } = context;
  const access = tcpRbacFilters(workload.policies, rbacTarget(context));
  const chains = passedTargets(server, view).map((target) => {
    const name = passedName(target);
    const chain = namedChain(server, [...access, tcpProxy(name, undefined, view.telemetry.clientLogs)]);
    chain.filterChainMatch = FilterChainMatch.fromPartial({ serverNames: [name], transportProtocol: "tls" });
    return chain;
  });
  return { chains: chains.length > 0 ? chains : [nowhere(server)], deadEnds: [] };
}

/** TCP, or TLS that ends here with bytes in it. */
function terminated(server: PlacedServer, builder: ChainBuilder, context: EdgeContext): readonly FilterChain[] {
  const chains = builder.otherwise === undefined ? builder.chains : [...builder.chains, builder.otherwise];
  const { tls } = server.spec;
  if (tls === undefined) return chains;
  for (const chain of chains) {
    chain.filterChainMatch = FilterChainMatch.fromPartial({ ...chain.filterChainMatch, ...nameMatch(server) });
    chain.transportSocket = serverSocket(tls, "tcp", servingOf(context));
  }
  return chains;
}

/** A listener needs a chain: what nobody routes ends at once. */
function nowhere(server: PlacedServer): FilterChain {
  const chain = server.spec.tls === undefined ? FilterChain.fromPartial({}) : namedChain(server, []);
  chain.filters = [tcpProxy(BLACK_HOLE)];
  chain.metadata = metadataOf({
    resource: `${server.resource.kind} ${server.gateway}`,
    rule: `${server.path}: no VirtualService is bound to it for its hosts`,
  });
  return chain;
}

function namedChain(server: PlacedServer, filters: Filter[]): FilterChain {
  const chain = FilterChain.fromPartial({ filterChainMatch: nameMatch(server) });
  chain.filters = filters;
  chain.metadata = metadataOf({ resource: `${server.resource.kind} ${server.gateway}`, rule: server.path });
  return chain;
}

function nameMatch(server: PlacedServer): { readonly serverNames: string[]; readonly transportProtocol: string } {
  const names = server.hosts.map(({ host }) => host);
  return { serverNames: names.includes("*") ? [] : [...new Set(names)], transportProtocol: "tls" };
}

function manager(routeConfigName: string, context: EdgeContext): Filter {
  const { workload } = context;
  return connectionManager({
    mesh: context.view.snapshot.mesh,
    statPrefix: `outbound_${routeConfigName}`,
    direction: "edge",
    route: { $case: "rds", value: { configSource: adsSource(), routeConfigName } },
    filters: gatewayHttpFilters(
      workload.telemetry,
      accessFilters(workload, rbacTarget(context)),
      nameFilters(context.view),
    ),
    topology: workload.proxy.topology,
    telemetry: workload.telemetry,
  });
}

function rbacTarget({ view }: EdgeContext) {
  return { mesh: view.snapshot.mesh, servedPort: undefined };
}

function servingOf({ view, workload }: EdgeContext) {
  return { engine: workload.proxy.engine, mesh: view.snapshot.mesh };
}
