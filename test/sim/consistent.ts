// What holds of every configuration by itself: each name that is used is there, and nothing that Envoy refuses as double.

import { Cluster_DiscoveryType } from "../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { Listener } from "../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import { FilterChainMatch } from "../../src/proto/gen/envoy/config/listener/v3/listener_components.ts";
import type { RouteConfiguration } from "../../src/proto/gen/envoy/config/route/v3/route.ts";
import type { Route } from "../../src/proto/gen/envoy/config/route/v3/route_components.ts";
import { HttpConnectionManager } from "../../src/proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { TcpProxy } from "../../src/proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import { addressOf } from "./chain.ts";
import { routeNames } from "./client.ts";
import { extension, type Held, typedConfig, typeOf } from "./held.ts";

export function inconsistencies(held: Held): readonly string[] {
  return [...held.listener.values()]
    .flatMap((listener) => ofListener(listener, held))
    .concat([...held.route.values()].flatMap((config) => ofRoutes(config, held)))
    .concat(ofClusters(held))
    .concat(twice([...held.listener.values()].map(boundTo)).map((address) => `two listeners at ${address}`));
}

function boundTo(listener: Listener): string {
  const { address, port } = addressOf(listener);
  return `${address}:${port}`;
}

function ofListener(listener: Listener, held: Held): readonly string[] {
  const problems = routeNames(listener)
    .filter((name) => !held.route.has(name))
    .map((name) => `listener ${listener.name} names route configuration ${name}, which is missing`);
  const matches = listener.filterChains.map(({ filterChainMatch: match }) =>
    JSON.stringify(match === undefined ? {} : FilterChainMatch.toJSON(match)),
  );
  problems.push(...twice(matches).map((match) => `listener ${listener.name} has two chains for ${match}`));
  const all = [
    ...listener.filterChains,
    ...(listener.defaultFilterChain === undefined ? [] : [listener.defaultFilterChain]),
  ];
  for (const filter of all.flatMap(({ filters }) => filters)) {
    const config = typedConfig(filter);
    if (typeOf(config) === "TcpProxy")
      problems.push(...missing(tcpClusters(extension(config, TcpProxy)), held, listener.name));
    if (typeOf(config) !== "HttpConnectionManager") continue;
    const { routeSpecifier } = extension(config, HttpConnectionManager);
    if (routeSpecifier?.$case === "routeConfig") problems.push(...ofRoutes(routeSpecifier.value, held));
  }
  return problems;
}

function tcpClusters({ clusterSpecifier: wanted }: TcpProxy): readonly string[] {
  if (wanted?.$case === "cluster") return [wanted.value];
  return wanted?.$case === "weightedClusters" ? wanted.value.clusters.map(({ name }) => name) : [];
}

function ofRoutes(config: RouteConfiguration, held: Held): readonly string[] {
  const domains = config.virtualHosts.flatMap((host) => host.domains.map((domain) => domain.toLowerCase()));
  return [
    ...missing(
      config.virtualHosts.flatMap(({ routes }) => routes.flatMap(routeClusters)),
      held,
      `route ${config.name}`,
    ),
    ...twice(domains).map((domain) => `route ${config.name} has the domain ${domain} twice`),
    ...twice(config.virtualHosts.map(({ name }) => name)).map(
      (name) => `route ${config.name} has the virtual host ${name} twice`,
    ),
  ];
}

function routeClusters({ action }: Route): readonly string[] {
  if (action?.$case !== "route") return [];
  const { clusterSpecifier: wanted, requestMirrorPolicies } = action.value;
  const mirrors = requestMirrorPolicies.map(({ cluster }) => cluster);
  if (wanted?.$case === "cluster") return [wanted.value, ...mirrors];
  return wanted?.$case === "weightedClusters"
    ? [...wanted.value.clusters.map(({ name }) => name), ...mirrors]
    : mirrors;
}

function missing(names: readonly string[], held: Held, where: string): string[] {
  return names
    .filter((name) => !held.cluster.has(name))
    .map((name) => `${where} names cluster ${name}, which is missing`);
}

function ofClusters(held: Held): readonly string[] {
  const problems: string[] = [];
  const eds = new Set<string>();
  for (const { name, clusterDiscoveryType: type } of held.cluster.values()) {
    if (type?.$case !== "type" || type.value !== Cluster_DiscoveryType.EDS) continue;
    eds.add(name);
    if (!held.endpoint.has(name)) problems.push(`cluster ${name} has no assignment`);
  }
  for (const name of held.endpoint.keys()) if (!eds.has(name)) problems.push(`the assignment ${name} has no cluster`);
  return problems;
}

function twice(values: readonly string[]): readonly string[] {
  return [...new Set(values.filter((value, i) => values.indexOf(value) !== i))];
}
