// Where TCP connections to a service's port go: a VirtualService's tcp and tls rules as filter chains, or the plain default.

import type { Destination, TcpRoute, TlsRoute } from "../api/istio/virtual-service.ts";
import type { PlacedRule } from "../model/delegate.ts";
import { servicePolicy } from "../model/destination.ts";
import { matchesLabels } from "../model/endpoint.ts";
import { formatRef } from "../model/finding.ts";
import { hostMatches } from "../model/hosts.ts";
import { findRoutes, type HostRoutes, type ResolvedDestination } from "../model/routing.ts";
import type { Service, ServicePort } from "../model/service.ts";
import { visibleService } from "../model/services.ts";
import type { CidrRange } from "../proto/gen/envoy/config/core/v3/address.ts";
import {
  type Filter,
  FilterChain,
  FilterChainMatch,
} from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import type { DeadEnd } from "./http-route.ts";
import { BLACK_HOLE, outboundName } from "./names.ts";
import { type TcpPolicy, tcpProxy, weightedTcpProxy } from "./tcp.ts";
import { type ClientView, isBoundTo, resolveFor, ruleFor } from "./view.ts";
import { istioConfigPath, metadataOf } from "./wire.ts";

export interface TcpChains {
  /** Those with conditions. */
  readonly chains: readonly FilterChain[];
  readonly otherwise: FilterChain;
  readonly deadEnds: readonly DeadEnd[];
  /** True when a chain needs to know the name that a TLS client asks for. */
  readonly readsServerName: boolean;
}

export function tcpChains(service: Service, port: ServicePort, view: ClientView): TcpChains {
  const builder = new ChainBuilder(port.number, view);
  const rules = rulesFor(service, view);
  for (const { tls } of rules) for (const rule of tls) builder.addTls(rule);
  for (const { tcp } of rules) for (const rule of tcp) builder.addTcp(rule);
  const own = { host: service.host, subset: undefined, port: port.number };
  const plain = FilterChain.fromPartial({});
  const name = outboundName(port.number, undefined, service.host);
  plain.filters = [proxyTo([{ name, weight: 100 }], name, policyOf(own, view), view)];
  const { chains, deadEnds, readsServerName } = builder;
  return { chains, otherwise: builder.otherwise ?? plain, deadEnds, readsServerName };
}

/** Of the service's own host; of a wildcard also those of the hosts that it covers. */
function rulesFor({ host }: Service, { routes }: ClientView): readonly HostRoutes[] {
  const own = findRoutes(routes, host);
  const covered = host.startsWith("*") ? [...routes.values()].filter((each) => hostMatches(host, each.host)) : [];
  return [...new Set([...(own === undefined ? [] : [own]), ...covered])];
}

interface L4Match {
  readonly destinationSubnets?: string[];
  readonly sourceSubnet?: string;
  readonly sniHosts?: string[];
  readonly port?: number;
  readonly sourceLabels?: Readonly<Record<string, string>>;
  readonly sourceNamespace?: string;
  readonly gateways?: readonly string[];
}

export class ChainBuilder {
  readonly chains: FilterChain[] = [];
  readonly deadEnds: DeadEnd[] = [];
  /** Of the first rule without conditions. */
  otherwise: FilterChain | undefined;
  readsServerName = false;
  readonly #port: number;
  readonly #view: ClientView;
  /** Conditions that have a chain: of two equal ones the first holds, and Envoy refuses the second. */
  readonly #taken = new Set<string>();

  constructor(port: number, view: ClientView) {
    this.#port = port;
    this.#view = view;
  }

  /** Of the names only those that `serves` says yes to. */
  addTls(rule: PlacedRule<TlsRoute>, serves: (serverName: string) => boolean = () => true): void {
    for (const match of rule.route.match) {
      if (!this.#isForClient(match, rule.namespace)) continue;
      const sniHosts = match.sniHosts.filter((name) => serves(name) && this.#isFree(match, name));
      if (sniHosts.length === 0) continue;
      this.readsServerName = true;
      this.#add(rule, conditions({ ...match, sniHosts }));
    }
  }

  /** Two chains with a name in common would be refused as a whole. */
  #isFree(match: L4Match, name: string): boolean {
    const wanted = conditions({ ...match, sniHosts: [name] });
    const key = `name ${wanted === undefined ? "" : JSON.stringify(FilterChainMatch.toJSON(wanted))}`;
    if (this.#taken.has(key)) return false;
    this.#taken.add(key);
    return true;
  }

  addTcp(rule: PlacedRule<TcpRoute>): void {
    const matches: readonly L4Match[] = rule.route.match ?? [{}];
    for (const match of matches.length === 0 ? [{}] : matches) {
      if (!this.#isForClient(match, rule.namespace)) continue;
      const wanted = conditions(match);
      if (wanted !== undefined) this.#add(rule, wanted);
      else this.otherwise ??= this.#chain(rule, undefined);
    }
  }

  #isForClient(match: L4Match, ruleNamespace: string): boolean {
    if (!isBoundTo(match.gateways, ruleNamespace, this.#view)) return false;
    if (match.port !== undefined && match.port !== this.#port) return false;
    const { namespace, labels } = this.#view;
    if (match.sourceNamespace !== undefined && match.sourceNamespace !== namespace) return false;
    return matchesLabels(match.sourceLabels, labels);
  }

  #add(rule: PlacedRule<TcpRoute | TlsRoute>, match: FilterChainMatch | undefined): void {
    const key = JSON.stringify(match === undefined ? {} : FilterChainMatch.toJSON(match));
    if (this.#taken.has(key)) return;
    this.#taken.add(key);
    this.chains.push(this.#chain(rule, match));
  }

  #chain(placed: PlacedRule<TcpRoute | TlsRoute>, match: FilterChainMatch | undefined): FilterChain {
    const resource = formatRef(placed.resource);
    const chain = FilterChain.fromPartial({ filterChainMatch: match });
    chain.metadata = metadataOf({ resource, rule: placed.rule }, { config: istioConfigPath(placed.resource) });
    const routes = placed.route.route ?? [];
    const used = routes.length === 1 ? routes : routes.filter(({ weight }) => (weight ?? 0) > 0);
    const clusters = used.map(({ destination, weight }) => ({
      name: this.#clusterOf(placed, destination),
      weight: routes.length === 1 ? 100 : (weight ?? 0),
    }));
    const [only] = clusters;
    // One filter for all of them: as in Istio, the first destination's rule says how long connections last.
    const [first] = used;
    const policy = first === undefined ? undefined : policyOf(this.#targetOf(placed, first.destination), this.#view);
    chain.filters = [proxyTo(clusters, only?.name ?? resource, policy, this.#view)];
    return chain;
  }

  #targetOf(placed: PlacedRule<TcpRoute | TlsRoute>, destination: Destination): ResolvedDestination {
    return resolveFor(this.#view, destination, { resourceNamespace: placed.namespace, port: this.#port });
  }

  #clusterOf(placed: PlacedRule<TcpRoute | TlsRoute>, destination: Destination): string {
    const target = this.#targetOf(placed, destination);
    const cluster = outboundName(target.port, target.subset, target.host);
    if (target.problem !== undefined) {
      const resource = `${formatRef(placed.resource)} ${placed.rule}`;
      this.deadEnds.push({ cluster, reason: target.problem.reason, resource });
    }
    return cluster;
  }
}

function proxyTo(
  clusters: readonly { readonly name: string; readonly weight: number }[],
  statPrefix: string,
  policy: TcpPolicy | undefined,
  { engine, telemetry }: ClientView,
): Filter {
  const logs = telemetry.clientLogs;
  // weft's proxy asks by CONNECT only: going there without asking would be something else.
  if (engine === "weft" && policy?.tunnel?.protocol?.toUpperCase() === "POST") return tcpProxy(BLACK_HOLE, {}, logs);
  const [only] = clusters;
  if (only !== undefined && clusters.length === 1) return tcpProxy(only.name, policy, logs);
  return weightedTcpProxy(clusters, statPrefix, policy, logs);
}

type Place = Pick<ResolvedDestination, "host" | "subset" | "port">;

function policyOf(place: Place, view: ClientView): TcpPolicy | undefined {
  const service = visibleService(view.snapshot.index, place.host, view.namespace);
  if (service === undefined) return undefined;
  return servicePolicy(service, ruleFor(view, service), place, view.snapshot.mesh);
}

/** Undefined where every connection fits. */
function conditions(match: L4Match): FilterChainMatch | undefined {
  const serverNames = (match.sniHosts ?? []).map((name) => name.toLowerCase()).filter((name) => name !== "*");
  const prefixRanges = (match.destinationSubnets ?? []).map(cidr);
  const sourcePrefixRanges = match.sourceSubnet === undefined ? [] : [cidr(match.sourceSubnet)];
  const tls = match.sniHosts !== undefined;
  if (!tls && prefixRanges.length === 0 && sourcePrefixRanges.length === 0) return undefined;
  return FilterChainMatch.fromPartial({
    serverNames,
    prefixRanges,
    sourcePrefixRanges,
    transportProtocol: tls ? "tls" : "",
  });
}

export function cidr(subnet: string): CidrRange {
  const [addressPrefix = "", length] = subnet.split("/");
  const whole = addressPrefix.includes(":") ? 128 : 32;
  return { addressPrefix, prefixLen: length === undefined ? whole : Number(length) };
}
