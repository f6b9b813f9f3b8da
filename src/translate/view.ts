// What one proxy sees of the snapshot: the services and routes exported to its namespace.

import type { Destination } from "../api/istio/virtual-service.ts";
import { findRule, type HostRule } from "../model/destination.ts";
import { isExportedTo } from "../model/hosts.ts";
import { type HostRoutes, type ResolvedDestination, resolveDestination, routesFor } from "../model/routing.ts";
import type { Service } from "../model/service.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { ProxyNode } from "./proxy.ts";

/** All that outbound configuration may depend on; proxies with an equal `key` share it. */
export interface ClientView {
  readonly key: string;
  readonly snapshot: MeshSnapshot;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mode: ProxyNode["mode"];
  readonly services: readonly Service[];
  readonly routes: ReadonlyMap<string, HostRoutes>;
}

export function clientView(snapshot: MeshSnapshot, proxy: ProxyNode): ClientView {
  const labels = routesByLabels(snapshot) ? proxy.labels : {};
  return {
    key: JSON.stringify([proxy.namespace, proxy.mode, Object.entries(labels).sort()]),
    snapshot,
    namespace: proxy.namespace,
    labels,
    mode: proxy.mode,
    services: [...snapshot.services.values()].filter((each) =>
      isExportedTo(each.exportTo, each.namespace, proxy.namespace),
    ),
    routes: routesFor(snapshot.routes, proxy.namespace),
  };
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

/** Whether anything that a client gets depends on its labels. */
function routesByLabels({ routes, destinations }: MeshSnapshot): boolean {
  const chooses = [...destinations.rules.values()].some((hosts) =>
    [...hosts.values()].some((rules) => rules.some(({ clients }) => Object.keys(clients).length > 0)),
  );
  if (chooses) return true;
  return routes.some(({ http, tcp, tls }) =>
    [...http, ...tcp, ...tls].some(({ route }) =>
      (route.match ?? []).some((match) => match.sourceLabels !== undefined),
    ),
  );
}
