// Which mesh resources a proxy's refusal is about: those that the refused piece of configuration was made from. Pure.

import { istioKinds } from "../api/istio/kinds.ts";
import { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import { Route, VirtualHost } from "../proto/gen/envoy/config/route/v3/route_components.ts";
import type { Refusal } from "../serve/session.ts";

/** `VirtualService production/api`, …; none where only Services and the mesh's own settings are in it. */
export function blamedResources(refusal: Refusal): readonly string[] {
  return resourcesNamedIn(refusal.type === "route" ? refusedRoute(refusal) : refusal.resource.any.value);
}

const PLACE = /virtual_?hosts\[(\d+)\](?:\.routes\[(\d+)\])?/i;

/** Of a route configuration, which holds many hosts, the virtual host or route that the message points to. */
function refusedRoute({ resource, message }: Refusal): Uint8Array {
  const { virtualHosts } = RouteConfiguration.decode(resource.any.value);
  const [, hostAt, routeAt] = PLACE.exec(message) ?? [];
  const host =
    hostAt === undefined
      ? virtualHosts.find(({ name }) => name !== "" && message.includes(name))
      : virtualHosts[Number(hostAt)];
  if (host === undefined) return resource.any.value;
  const route = routeAt === undefined ? undefined : host.routes[Number(routeAt)];
  return route === undefined ? VirtualHost.encode(host).finish() : Route.encode(route).finish();
}

// weft's own metadata, and the names of RBAC policies, stand in the bytes as text, however deep they are packed. What
// follows a text there is the next field's tag, which is no character of a name.
const NAMED = new RegExp(`(?:${istioKinds.map(({ kind }) => kind).join("|")}) [a-z0-9-]+/[a-z0-9.-]+`, "g");
const POLICY = /ns\[([a-z0-9-]+)\]-policy\[([a-z0-9.-]+)\]/g;

function resourcesNamedIn(bytes: Uint8Array): readonly string[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const named = [...text.matchAll(NAMED)].map(([name]) => name);
  const policies = [...text.matchAll(POLICY)].map(([, namespace, name]) => `AuthorizationPolicy ${namespace}/${name}`);
  return [...new Set([...named, ...policies])].sort();
}
