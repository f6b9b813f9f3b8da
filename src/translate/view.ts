// What one proxy sees of the snapshot: the services and routes exported to its namespace.

import { isIPv6 } from "node:net";
import type { Sidecar } from "../api/istio/sidecar.ts";
import type { Destination, HttpRoute, TcpRoute, TlsRoute } from "../api/istio/virtual-service.ts";
import { keyOf } from "../ingest/resources.ts";
import { findRule, type HostRule } from "../model/destination.ts";
import { gatewayName, MESH_GATEWAY, resolveHost } from "../model/hosts.ts";
import { localityOfPod } from "../model/locality.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import { type HostRoutes, type ResolvedDestination, resolveDestination, routesFor } from "../model/routing.ts";
import type { Service } from "../model/service.ts";
import { visibleServices } from "../model/services.ts";
import { type EgressListener, type EgressScope, egressOf, sidecarOf } from "../model/sidecar.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { ProxyNode } from "./proxy.ts";
import { type ProxyTelemetry, telemetryOf } from "./telemetry.ts";

/** All that outbound configuration may depend on; proxies with an equal `key` share it. */
export interface ClientView {
  readonly key: string;
  readonly snapshot: MeshSnapshot;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `region/zone/subzone` and the node's name, where it matters. */
  readonly locality: string;
  readonly node: string;
  readonly mode: ProxyNode["mode"];
  readonly type: ProxyNode["type"];
  /** Which rules hold: those bound to `mesh`, or to the Gateway `namespace/name`. */
  readonly gateway: string;
  readonly engine: ProxyNode["engine"];
  readonly services: readonly Service[];
  readonly routes: ReadonlyMap<string, HostRoutes>;
  readonly telemetry: ProxyTelemetry;
  /** What a call to a host that nobody registered gets. */
  readonly outboundTrafficPolicy: MeshConfig["outboundTrafficPolicy"];
  /** The proxy answers its application's DNS questions, so that hosts may have addresses of the mesh's own choice. */
  readonly dnsCapture: boolean;
  /** The family of the addresses that the application can call. */
  readonly family: 4 | 6;
  /** What narrows it. */
  readonly sidecar: Sidecar | undefined;
  /** What the ports of services lead to, where listeners of their own have a part of it; undefined: everything. */
  readonly captured: Sight | undefined;
  readonly apart: readonly ListenerSight[];
}

export interface Sight {
  readonly services: readonly Service[];
  readonly routes: ReadonlyMap<string, HostRoutes>;
}

interface ListenerSight extends Sight {
  readonly listener: EgressListener;
}

/** What decides what a proxy sees. */
export type Client = Omit<ClientView, "snapshot" | keyof Seen>;

type Seen = Pick<ClientView, "services" | "routes" | "captured" | "apart">;

export function clientOf(snapshot: MeshSnapshot, proxy: ProxyNode): Client {
  const { traits } = snapshot.routing;
  const { namespace, mode, type } = proxy;
  const labels = traits.labels
    ? proxy.labels
    : Object.fromEntries(traits.priorityLabels.map((name) => [name, proxy.labels[name] ?? ""]));
  const pod = snapshot.resources.pods.get(`${namespace}/${proxy.pod}`);
  const locality = traits.locality ? localityOfPod(pod, snapshot.nodes) || proxy.locality : "";
  const node = traits.node ? (pod?.spec?.nodeName ?? "") : "";
  const telemetry = telemetryOf(snapshot, proxy);
  const family = proxy.address.includes(":") ? 6 : 4;
  const { engine, dnsCapture } = proxy;
  const chosen = Object.entries(labels).sort();
  const sidecar =
    type === "sidecar"
      ? sidecarOf(snapshot.sidecars.index, { namespace, labels: proxy.labels }, snapshot.mesh)
      : undefined;
  const scope = sidecar === undefined ? "" : keyOf(sidecar);
  const own = [namespace, type, mode, engine, chosen, locality, node, telemetry.key, dnsCapture, family, scope];
  const outboundTrafficPolicy = sidecar?.spec?.outboundTrafficPolicy?.mode ?? snapshot.mesh.outboundTrafficPolicy;
  return {
    key: JSON.stringify(own),
    namespace,
    labels,
    locality,
    node,
    mode,
    type,
    gateway: MESH_GATEWAY,
    engine,
    telemetry,
    outboundTrafficPolicy,
    dnsCapture,
    family,
    sidecar,
  };
}

export function clientView(snapshot: MeshSnapshot, proxy: ProxyNode): ClientView {
  return viewOf(snapshot, clientOf(snapshot, proxy));
}

/** Services and routes are found when they are asked for: what only endpoints differ in asks for neither. */
export function viewOf(snapshot: MeshSnapshot, client: Client): ClientView {
  let seen: Seen | undefined;
  const see = (): Seen => (seen ??= seenBy(snapshot, client));
  return {
    ...client,
    snapshot,
    get services() {
      return see().services;
    },
    get routes() {
      return see().routes;
    },
    get captured() {
      return see().captured;
    },
    get apart() {
      return see().apart;
    },
  };
}

function seenBy(snapshot: MeshSnapshot, { namespace, sidecar }: Client): Seen {
  const all = { services: visibleServices(snapshot.index, namespace), routes: routesFor(snapshot.routes, namespace) };
  const egress = sidecar === undefined ? undefined : egressOf(sidecar, namespace);
  if (egress === undefined) return { ...all, captured: undefined, apart: [] };
  const sight = (scope: EgressScope) => {
    const routes = scope.routes(all.routes);
    return { routes, services: scope.services(all.services, routedHosts(routes, snapshot)) };
  };
  return {
    ...sight(egress.whole),
    captured: egress.captured === undefined ? undefined : sight(egress.captured),
    apart: egress.apart.map((listener) => ({ listener, ...sight(listener.scope) })),
  };
}

/** The same client, as far as the listeners of services' own addresses and ports go. */
export function capturedView(view: ClientView): ClientView {
  return view.captured === undefined ? view : { ...view, ...view.captured };
}

/** Where routes lead. */
function routedHosts(routes: ReadonlyMap<string, HostRoutes>, { mesh }: MeshSnapshot): ReadonlySet<string> {
  const rules = [...routes.values()].flatMap(({ http, tcp, tls }) => [...http, ...tcp, ...tls]);
  return new Set(
    rules.flatMap(({ route, namespace }) =>
      targetsOf(route).map(({ host }) => resolveHost(host, namespace, mesh.clusterDomain)),
    ),
  );
}

function targetsOf(route: HttpRoute | TcpRoute | TlsRoute): readonly Destination[] {
  const targets = (route.route ?? []).map(({ destination }) => destination);
  if (!("mirror" in route || "mirrors" in route)) return targets;
  const mirrors = (route.mirrors ?? []).map(({ destination }) => destination);
  return [...targets, ...mirrors, ...(route.mirror === undefined ? [] : [route.mirror])];
}

/** Where the view's clients call a service: at its own addresses, else at those chosen for it if they can get to know them. */
export function addressesOf({ addresses, subnets, allocated }: Service, view: ClientView): readonly string[] {
  if (addresses.length > 0 || subnets.length > 0 || !view.dnsCapture) return addresses;
  return allocated.filter((address) => (isIPv6(address) ? 6 : 4) === view.family);
}

export function ruleFor(view: ClientView, service: Service): HostRule | undefined {
  const call = {
    clientNamespace: view.namespace,
    clientLabels: view.labels,
    serviceNamespace: service.namespace,
    host: service.host,
  };
  return findRule(view.snapshot.destinations, call, view.snapshot.mesh);
}

/** Where a destination that was written in a namespace leads for the view's client. */
export function resolveFor(
  { snapshot, namespace, labels }: ClientView,
  destination: Destination,
  at: { readonly resourceNamespace: string; readonly port: number },
): ResolvedDestination {
  return resolveDestination(destination, { ...at, clientNamespace: namespace, clientLabels: labels }, snapshot);
}

/** Whether a rule that was written in a namespace holds where the view's client stands. */
export function isBoundTo(gateways: readonly string[] | undefined, namespace: string, view: ClientView): boolean {
  if (gateways === undefined || gateways.length === 0) return true;
  return gateways.some((name) => gatewayName(name, namespace) === view.gateway);
}
