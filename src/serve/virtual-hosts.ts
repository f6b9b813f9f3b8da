// Route configurations taken apart for VHDS: each virtual host by itself, so that a change of one sends one.

import { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import { VirtualHost } from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { adsSource } from "../translate/wire.ts";
import type { EncodedResource, ResourceMap } from "./resource.ts";

interface Apart {
  readonly config: RouteConfiguration;
  readonly hosts: readonly VirtualHost[];
}

/**
 * Of a configuration that holds every service of a port. It is always taken apart, however few there are: a proxy that
 * changes from one form to the other would be without routes in between. What takes the rest stays where it is.
 */
export function takeApart(config: RouteConfiguration): Apart {
  if (!isTakenApart(config.name)) return { config, hosts: [] };
  const inline = config.virtualHosts.filter(({ domains }) => domains.includes("*"));
  return {
    config: { ...config, virtualHosts: inline, vhds: { configSource: adsSource() } },
    hosts: config.virtualHosts.filter(({ domains }) => !domains.includes("*")),
  };
}

export function isTakenApart(routeConfig: string): boolean {
  return /^(\d+|http_proxy)$/.test(routeConfig);
}

/** Envoy removes a virtual host by the name of its resource. */
export function renamed(host: VirtualHost, { name }: RouteConfiguration): VirtualHost {
  return { ...host, name: `${name}/${host.name}` };
}

/** As the proxy puts it together: messages of protobuf are joined by joining their bytes. */
export function putTogether(route: EncodedResource, hosts: ResourceMap): EncodedResource {
  const own = [...hosts.values()].filter(({ name }) => name.startsWith(`${route.name}/`));
  if (own.length === 0) return route;
  const virtualHosts = own.map(({ any }) => VirtualHost.decode(any.value));
  const rest = RouteConfiguration.encode(RouteConfiguration.fromPartial({ virtualHosts })).finish();
  return { ...route, any: { ...route.any, value: Buffer.concat([route.any.value, rest]) } };
}
