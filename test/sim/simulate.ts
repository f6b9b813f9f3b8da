// Walks Envoy's rules over the resources that a proxy holds: the listener, its filter chain, the route and the cluster
// that a call meets. Knows nothing of how they were generated, nor of weft's own proxy.

import assert from "node:assert/strict";
import type { Listener } from "../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import type { FilterChain } from "../../src/proto/gen/envoy/config/listener/v3/listener_components.ts";
import type { RouteConfiguration } from "../../src/proto/gen/envoy/config/route/v3/route.ts";
import {
  type Route,
  VirtualHost_TlsRequirementType,
} from "../../src/proto/gen/envoy/config/route/v3/route_components.ts";
import { HTTPFault } from "../../src/proto/gen/envoy/extensions/filters/http/fault/v3/fault.ts";
import { HttpConnectionManager } from "../../src/proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { TcpProxy } from "../../src/proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import { DownstreamTlsContext } from "../../src/proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import type { HttpCall, Outcome, SimCall } from "./call.ts";
import { type Connection, chainText, findChain, findListener } from "./chain.ts";
import { extension, type Held, typedConfig, typeOf } from "./held.ts";
import { findRoute, findVirtualHost, locationOf, rewrite } from "./route.ts";
import { reach } from "./upstream.ts";

const OUTBOUND_PORT = 15_001;
const INBOUND_PORT = 15_006;

export function simulate(call: SimCall, held: Held): Outcome {
  const original = split(call.to);
  const entered = enter(call, held, original);
  if (entered === undefined) return { error: "nothing listens there" };
  const listener = handOver(entered, held, original);
  const connection = inspect(listener, call, original);
  const chain = findChain(listener, connection);
  const at = { listener: listener.name };
  if (chain === undefined) return { ...at, error: "no filter chain: closed" };
  const ends = call.tls !== undefined && chain.transportSocket !== undefined;
  const named = { ...at, chain: chainText(listener, chain), ...(ends ? { endsTls: true } : {}) };
  const opaque = call.tls !== undefined && !ends;
  const refused = handshake(chain, call);
  if (refused !== undefined) return { ...named, error: refused };
  return {
    ...named,
    ...throughFilters(chain, opaque ? undefined : call.http, { held, original: call.to, secure: ends }),
  };
}

function split(to: string): { readonly address: string; readonly port: number } {
  const colon = to.lastIndexOf(":");
  return { address: to.slice(0, colon), port: Number(to.slice(colon + 1)) };
}

function enter(call: SimCall, held: Held, original: ReturnType<typeof split>): Listener | undefined {
  const bound = [...held.listener.values()].filter(({ bindToPort }) => bindToPort !== false);
  if (call.direction === "direct") return findListener(bound, original);
  const port = call.direction === "outbound" ? OUTBOUND_PORT : INBOUND_PORT;
  return findListener(bound, { address: "127.0.0.1", port });
}

/** To the listener of the original destination, where there is one; else the first keeps the connection. */
function handOver(listener: Listener, held: Held, original: ReturnType<typeof split>): Listener {
  if (listener.useOriginalDst !== true) return listener;
  const found = findListener(held.listener.values(), original);
  return found ?? listener;
}

/** What the listener's own filters find out before a chain is chosen. */
function inspect(listener: Listener, call: SimCall, original: ReturnType<typeof split>): Connection {
  const filters = new Set(listener.listenerFilters.map(({ name }) => name));
  const seesTls = call.tls !== undefined && filters.has("envoy.filters.listener.tls_inspector");
  const seesHttp =
    call.tls === undefined && call.http !== undefined && filters.has("envoy.filters.listener.http_inspector");
  return {
    ...original,
    from: call.from ?? "10.244.0.9",
    serverName: seesTls ? (call.tls?.sni ?? "").toLowerCase() : "",
    transport: seesTls ? "tls" : "raw_buffer",
    protocols: seesTls ? (call.tls?.alpn ?? []) : seesHttp ? ["http/1.1"] : [],
  };
}

/** Why the chain's TLS refuses the caller. */
function handshake(chain: FilterChain, call: SimCall): string | undefined {
  if (chain.transportSocket === undefined) return undefined;
  const config = typedConfig(chain.transportSocket);
  if (typeOf(config) !== "DownstreamTlsContext") return undefined;
  if (call.tls === undefined) return "plaintext where TLS is expected: closed";
  const context = extension(config, DownstreamTlsContext);
  const names = validationOf(context)?.matchTypedSubjectAltNames ?? [];
  // Who expects a certain certificate expects one.
  const required = context.requireClientCertificate === true || names.length > 0;
  if (call.tls.mesh !== true) return required ? "no certificate of the mesh: closed" : undefined;
  const fits = names.some(({ matcher }) => {
    const pattern = matcher?.matchPattern;
    if (pattern?.$case === "prefix") return PEER.startsWith(pattern.value);
    return pattern?.$case === "exact" && pattern.value === PEER;
  });
  return names.length === 0 || fits ? undefined : "a certificate of another name: closed";
}

/** Whose certificate a caller of the mesh shows. */
const PEER = "spiffe://cluster.local/ns/production/sa/peer";

function validationOf({ commonTlsContext }: DownstreamTlsContext) {
  const type = commonTlsContext?.validationContextType;
  if (type?.$case === "validationContext") return type.value;
  return type?.$case === "combinedValidationContext" ? type.value.defaultValidationContext : undefined;
}

interface Beyond {
  readonly held: Held;
  readonly original: string;
  /** The request came by TLS that ended here. */
  readonly secure: boolean;
}

/** The first network filter that ends the chain; RBAC lets pass here, its rules have tests of their own. */
function throughFilters(chain: FilterChain, http: HttpCall | undefined, beyond: Beyond): Outcome {
  for (const filter of chain.filters) {
    const config = typedConfig(filter);
    switch (typeOf(config)) {
      case "RBAC":
        break;
      case "TcpProxy":
        return tcp(extension(config, TcpProxy), ruleOf(chain.metadata), beyond);
      case "HttpConnectionManager":
        if (http === undefined) return { error: "not HTTP: 400 or closed" };
        return throughManager(extension(config, HttpConnectionManager), http, beyond);
      default:
        throw new Error(`no network filter that is simulated: ${filter.name}`);
    }
  }
  return { error: "no terminal filter" };
}

interface WithMetadata {
  readonly filterMetadata: Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;
}

function ruleOf(metadata: WithMetadata | undefined): Pick<Outcome, "rule"> {
  const own = metadata?.filterMetadata["weft.dev"] ?? {};
  const parts = [own["resource"], own["rule"]].filter((each) => typeof each === "string");
  return parts.length === 0 ? {} : { rule: parts.join(" ") };
}

function tcp({ clusterSpecifier: wanted }: TcpProxy, rule: Pick<Outcome, "rule">, beyond: Beyond): Outcome {
  if (wanted?.$case === "cluster") return { ...rule, ...arrive([{ name: wanted.value, weight: 1 }], beyond) };
  assert.ok(wanted?.$case === "weightedClusters", "a TCP proxy names its clusters");
  return { ...rule, ...arrive(wanted.value.clusters, beyond) };
}

function throughManager(manager: HttpConnectionManager, call: HttpCall, beyond: Beyond): Outcome {
  const config = routesOf(manager, beyond.held);
  if (typeof config === "string") return { error: config, status: 404 };
  const host = findVirtualHost(config, config.ignorePortInHostMatching ? call.host.replace(/:\d+$/, "") : call.host);
  if (host === undefined) return { status: 404, error: "no virtual host" };
  const named = { virtualHost: host.name };
  if (host.requireTls === VirtualHost_TlsRequirementType.ALL && !beyond.secure) {
    return { ...named, status: 301, location: `https://${call.host}${call.path ?? "/"}` };
  }
  const route = findRoute(host, call);
  if (route === undefined) return { ...named, status: 404, error: "no route" };
  const place = { ...named, ...(route.name === "" ? {} : { route: route.name }), ...ruleOf(route.metadata) };
  const aborted = abortOf(route);
  if (aborted !== undefined) return { ...place, status: aborted };
  return { ...place, ...act(route, call, beyond) };
}

function routesOf({ routeSpecifier: from }: HttpConnectionManager, held: Held): RouteConfiguration | string {
  if (from?.$case === "routeConfig") return from.value;
  assert.ok(from?.$case === "rds", "routes come inline or by discovery");
  return held.route.get(from.value.routeConfigName) ?? `no route configuration ${from.value.routeConfigName}`;
}

/** The denominators of a share, by their number in the protocol. */
const WHOLE = [100, 10_000, 1_000_000];

/** A fault that aborts every request. */
function abortOf(route: Route): number | undefined {
  const config = route.typedPerFilterConfig["envoy.filters.http.fault"];
  if (config === undefined) return undefined;
  const { abort } = extension(config, HTTPFault);
  if (abort?.errorType?.$case !== "httpStatus") return undefined;
  const { numerator = 0, denominator = 0 } = abort.percentage ?? {};
  return numerator >= (WHOLE[denominator] ?? 100) ? abort.errorType.value : undefined;
}

function act(route: Route, call: HttpCall, beyond: Beyond): Outcome {
  const action = route.action;
  switch (action?.$case) {
    case "directResponse": {
      const body = action.value.body?.specifier;
      const text =
        body?.$case === "inlineString" ? body.value : body?.$case === "inlineBytes" ? String(body.value) : "";
      return { status: action.value.status, ...(text === "" ? {} : { body: text }) };
    }
    case "redirect":
      return { status: [301, 302, 303, 307, 308][action.value.responseCode] ?? 0, location: locationOf(route, call) };
    case "route":
      return forward(route, call, beyond);
    default:
      throw new Error(`no route action that is simulated: ${action?.$case}`);
  }
}

function forward(route: Route, call: HttpCall, beyond: Beyond): Outcome {
  assert.ok(route.action?.$case === "route");
  const { clusterSpecifier: wanted, requestMirrorPolicies } = route.action.value;
  const mirrors = requestMirrorPolicies.map(({ cluster }) => cluster);
  const common = { ...rewrite(route, call), ...(mirrors.length === 0 ? {} : { mirrors }) };
  if (wanted?.$case === "cluster")
    return { ...common, ...answered(arrive([{ name: wanted.value, weight: 1 }], beyond)) };
  assert.ok(wanted?.$case === "weightedClusters", "a route names its clusters");
  return { ...common, ...answered(arrive(wanted.value.clusters, beyond)) };
}

function answered(outcome: Outcome): Outcome {
  return outcome.error === undefined ? outcome : { ...outcome, status: 503 };
}

interface Weighted {
  readonly name: string;
  readonly weight?: number | undefined;
}

function arrive(clusters: readonly Weighted[], { held, original }: Beyond): Outcome {
  const [only] = clusters;
  const names: Outcome =
    only !== undefined && clusters.length === 1
      ? { cluster: only.name }
      : { clusters: Object.fromEntries(clusters.map(({ name, weight }) => [name, weight ?? 0])) };
  const reached = clusters.map(({ name }) => reach(name, held, original));
  // A share that leads nowhere fails its requests, whatever the others do.
  const error = reached.find((each) => each.error !== undefined)?.error;
  const sni = clusters.length === 1 ? reached[0]?.sni : undefined;
  return {
    ...names,
    hosts: [...new Set(reached.flatMap(({ hosts }) => hosts))].sort(),
    ...(sni === undefined ? {} : { sni }),
    ...(error === undefined ? {} : { error }),
  };
}
