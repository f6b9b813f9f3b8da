// All that a gateway runs: its listeners and routes, the clusters that those lead to, and the secrets of its servers.

import { gatewaysFor, mergeServers, portTranslation } from "../model/gateway.ts";
import { portOfPod } from "../model/gateway-finding.ts";
import type { Cluster } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import type { FilterChain } from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import type { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import type { Route } from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { TcpProxy } from "../proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import { blackHoleCluster, isDiscovered, outboundCluster, unreachableCluster } from "./cluster.ts";
import { loadAssignment } from "./endpoint.ts";
import { type GatewayListener, gatewayListener } from "./gateway-listener.ts";
import { gatewaySecrets } from "./gateway-tls.ts";
import type { DeadEnd } from "./http-route.ts";
import type { ProxyNode } from "./proxy.ts";
import type { ClusterTarget } from "./target.ts";
import { decorate, traceClusters } from "./tracing.ts";
import type { ProxyConfiguration } from "./translate.ts";
import { type ClientView, ruleFor } from "./view.ts";
import { workloadOf } from "./workload.ts";

export function gatewayConfiguration(view: ClientView, proxy: ProxyNode): ProxyConfiguration {
  const { snapshot } = view;
  const gateways = gatewaysFor(snapshot.gateways.all, proxy.labels);
  const pod = snapshot.resources.pods.get(`${proxy.namespace}/${proxy.pod}`);
  const translate = portTranslation(snapshot.resources.services, proxy, (name) => portOfPod(pod, name));
  // In explicit mode pods share one loopback, so each listens on its own address.
  const anyAddress = proxy.mode === "NONE" ? proxy.address : "0.0.0.0";
  const { ports } = mergeServers(gateways, translate, anyAddress);
  const context = { view, workload: workloadOf(snapshot, proxy), anyAddress };
  const made = ports.map((port) => gatewayListener(port, context));
  const routes = made.flatMap((each) => each.routes.map(({ config }) => config));
  if (view.telemetry.client !== undefined) routes.forEach(decorateAll);
  return {
    ...clustersOf(made, routes, view),
    listeners: made.map(({ listener }) => listener),
    routes,
    secrets: gatewaySecrets(
      ports.flatMap(({ servers }) => servers),
      proxy,
      snapshot.resources.credentials,
    ),
    extensions: [],
    nameTables: [],
  };
}

function decorateAll(config: RouteConfiguration): void {
  for (const host of config.virtualHosts) {
    for (const route of host.routes) if (route.action?.$case === "route") decorate(route, host.name);
  }
}

/** Only what is routed to, and what spans go through. */
function clustersOf(
  made: readonly GatewayListener[],
  routes: readonly RouteConfiguration[],
  view: ClientView,
): { readonly clusters: readonly Cluster[]; readonly endpoints: readonly ClusterLoadAssignment[] } {
  const chains = made.flatMap(({ listener }) => [
    ...listener.filterChains,
    ...(listener.defaultFilterChain === undefined ? [] : [listener.defaultFilterChain]),
  ]);
  const names = new Set([...chains.flatMap(tcpClusters), ...routes.flatMap(routedClusters)]);
  const dead = new Map<string, DeadEnd>(made.flatMap(({ deadEnds }) => deadEnds).map((each) => [each.cluster, each]));
  const clusters: Cluster[] = [blackHoleCluster()];
  const endpoints: ClusterLoadAssignment[] = [];
  for (const name of [...names].sort()) {
    const target = targetOf(name, view);
    const deadEnd = dead.get(name);
    if (target !== undefined) {
      clusters.push(outboundCluster(target, view));
      if (isDiscovered(target, view)) endpoints.push(loadAssignment(target, view));
    } else if (deadEnd !== undefined) {
      clusters.push(unreachableCluster(name, deadEnd.reason, deadEnd.resource));
    }
  }
  const traces = traceClusters(view);
  return { clusters: [...clusters, ...traces.clusters], endpoints: [...endpoints, ...traces.endpoints] };
}

/** `outbound|8080|v1|api.production.svc.cluster.local`, where it is there. */
function targetOf(name: string, view: ClientView): ClusterTarget | undefined {
  const [, number, subset = "", host = ""] = name.split("|");
  const service = view.services.find((each) => each.host === host);
  const port = service?.ports.find((each) => each.number === Number(number));
  if (service === undefined || port === undefined) return undefined;
  const rule = ruleFor(view, service);
  if (subset === "") return { service, port, subset: undefined, rule };
  return rule?.subsets.some((each) => each.name === subset) === true ? { service, port, subset, rule } : undefined;
}

function routedClusters({ virtualHosts }: RouteConfiguration): readonly string[] {
  return virtualHosts.flatMap((host) => host.routes.flatMap(clustersOfRoute));
}

function clustersOfRoute({ action }: Route): readonly string[] {
  if (action?.$case !== "route") return [];
  const { clusterSpecifier, requestMirrorPolicies } = action.value;
  const mirrored = requestMirrorPolicies.map(({ cluster }) => cluster);
  if (clusterSpecifier?.$case === "cluster") return [clusterSpecifier.value, ...mirrored];
  if (clusterSpecifier?.$case !== "weightedClusters") return mirrored;
  return [...clusterSpecifier.value.clusters.map(({ name }) => name), ...mirrored];
}

function tcpClusters({ filters }: FilterChain): readonly string[] {
  return filters.flatMap(({ name, configType }) => {
    if (name !== "envoy.filters.network.tcp_proxy" || configType?.$case !== "typedConfig") return [];
    const { clusterSpecifier } = TcpProxy.decode(configType.value.value);
    if (clusterSpecifier?.$case === "cluster") return [clusterSpecifier.value];
    return clusterSpecifier?.$case === "weightedClusters"
      ? clusterSpecifier.value.clusters.map((each) => each.name)
      : [];
  });
}
