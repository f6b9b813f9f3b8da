// Route configurations of gateways: for plain HTTP one of each port, for HTTPS one of each server.

import { formatRef } from "../model/finding.ts";
import { hostsInCommon, type MergedPort, type PlacedServer } from "../model/gateway.ts";
import { isExportedTo, mostSpecific } from "../model/hosts.ts";
import type { BoundRoutes } from "../model/routing.ts";
import { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import {
  type Route,
  VirtualHost,
  VirtualHost_TlsRequirementType,
} from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { defaultEndpointName } from "./gateway-endpoint.ts";
import { type DeadEnd, defaultRoute, hostRoutes, isCatchAll } from "./http-route.ts";
import type { ClientView } from "./view.ts";
import { metadataOf } from "./wire.ts";

/** As Istio calls them: `http.8080`, `https.443.PORT_NAME.GATEWAY.NAMESPACE`. */
export function httpRouteName({ number, bind }: MergedPort, anyAddress: string): string {
  return `http.${number}${bind === anyAddress ? "" : `.${bind}`}`;
}

export function httpsRouteName({ spec, resource }: PlacedServer): string {
  const bind = spec.bind === undefined || spec.bind === "" ? "" : `.${spec.bind}`;
  return `https.${spec.port.number}.${spec.port.name}.${resource.name}.${resource.namespace}${bind}`;
}

export interface GatewayRoutes {
  readonly config: RouteConfiguration;
  readonly deadEnds: readonly DeadEnd[];
}

/** `beside`: all servers that end or pass TLS on the port, whose hosts are not this configuration's to serve. */
export function gatewayRoutes(
  name: string,
  servers: readonly PlacedServer[],
  view: ClientView,
  beside: readonly PlacedServer[] = [],
): GatewayRoutes {
  const builder = new EdgeHosts(view, (host, server) => (serverOf(host, beside) ?? server) === server);
  for (const server of servers) builder.addServer(server);
  const elsewhere = beside.filter((server) => !servers.includes(server));
  return builder.finish(name, servers, elsewhere);
}

/** The one whose server name a client that asks for the host gets: that with the most specific host. */
export function serverOf(host: string, servers: readonly PlacedServer[]): PlacedServer | undefined {
  const owners = new Map(servers.flatMap((server) => server.hosts.map((each) => [each.host, server] as const)));
  return mostSpecific(owners, host);
}

interface HostInMaking {
  readonly port: number;
  readonly routes: Route[];
  readonly catchAll: Route[];
  readonly from: Set<BoundRoutes>;
  redirects: boolean;
  /** To the server's default endpoint. */
  fallback: Route | undefined;
}

class EdgeHosts {
  readonly #view: ClientView;
  readonly #serves: (host: string, server: PlacedServer) => boolean;
  readonly #hosts = new Map<string, HostInMaking>();
  readonly #deadEnds: DeadEnd[] = [];

  constructor(view: ClientView, serves: (host: string, server: PlacedServer) => boolean) {
    this.#view = view;
    this.#serves = serves;
  }

  addServer(server: PlacedServer): void {
    const redirects = server.spec.tls?.httpsRedirect === true;
    for (const routes of boundTo(server, this.#view)) {
      for (const host of hostsInCommon(server, routes)) {
        if (routes.http.length === 0 || !this.#serves(host, server)) continue;
        const made = this.#host(host, server, redirects);
        made.fallback ??= fallbackOf(server);
        if (!made.from.has(routes)) this.#addRoutes(made, routes, server);
      }
    }
    if (redirects) for (const { host } of server.hosts) this.#host(host, server, true);
    if (fallbackOf(server) === undefined) return;
    for (const { host } of server.hosts) this.#host(host, server, redirects).fallback ??= fallbackOf(server);
  }

  finish(name: string, servers: readonly PlacedServer[], elsewhere: readonly PlacedServer[]): GatewayRoutes {
    const config = RouteConfiguration.fromPartial({ name, validateClusters: false, ignorePortInHostMatching: true });
    // What proxies of the mesh say of a refusal no stranger says in their place.
    config.requestHeadersToRemove = ["x-weft-cause"];
    config.virtualHosts = [...this.#hosts].map(([host, made]) => virtualHost(host, made));
    const misdirected = misdirectedHost(elsewhere, new Set(this.#hosts.keys()));
    if (misdirected !== undefined) config.virtualHosts.push(misdirected);
    if (this.#hosts.size === 0) {
      const domains = new Set(misdirected?.domains);
      if (!domains.has("*")) config.virtualHosts.push(unboundHost(servers));
    }
    config.maxDirectResponseBodySizeBytes = 1_048_576;
    return { config, deadEnds: this.#deadEnds };
  }

  #host(host: string, server: PlacedServer, redirects: boolean): HostInMaking {
    const known = this.#hosts.get(host);
    if (known !== undefined) {
      known.redirects ||= redirects;
      return known;
    }
    const port = server.spec.port.number;
    const made: HostInMaking = { port, routes: [], catchAll: [], from: new Set(), redirects, fallback: undefined };
    this.#hosts.set(host, made);
    return made;
  }

  /** What takes every request goes behind the rules of all VirtualServices of the host; of several the oldest one's stays. */
  #addRoutes(made: HostInMaking, routes: BoundRoutes, server: PlacedServer): void {
    made.from.add(routes);
    const view = { ...this.#view, gateway: server.gateway };
    const built = hostRoutes(routes, server.spec.port.number, view);
    for (const route of built.routes) (isCatchAll(route) ? made.catchAll : made.routes).push(route);
    this.#deadEnds.push(...built.deadEnds);
  }
}

/** The VirtualServices that a server's Gateway has and the gateway's namespace sees, oldest first. */
export function boundTo({ gateway }: PlacedServer, { snapshot, namespace }: ClientView): readonly BoundRoutes[] {
  return snapshot.bound.filter(
    (routes) => routes.gateways.has(gateway) && isExportedTo(routes.exportTo, routes.namespace, namespace),
  );
}

function virtualHost(host: string, made: HostInMaking): VirtualHost {
  const out = VirtualHost.fromPartial({
    name: `${host}:${made.port}`,
    domains: [host],
    includeRequestAttemptCount: true,
    requireTls: made.redirects ? VirtualHost_TlsRequirementType.ALL : VirtualHost_TlsRequirementType.NONE,
  });
  const last = made.catchAll[0] ?? made.fallback;
  out.routes = [...made.routes, ...(last === undefined ? [] : [last])];
  return out;
}

function fallbackOf(server: PlacedServer): Route | undefined {
  const name = defaultEndpointName(server);
  if (name === undefined) return undefined;
  const route = defaultRoute(name);
  const rule = `${server.path}.defaultEndpoint`;
  route.metadata = metadataOf({ resource: serverText([server]), rule });
  return route;
}

const MISDIRECTED =
  "This host is served on connections that ask for it by its own server name (SNI); this one asked for another. Open a new connection.\n";

/** A client that reuses a connection for a host of another server, which may ask for other certificates: 421 makes it open a new one. */
function misdirectedHost(elsewhere: readonly PlacedServer[], taken: ReadonlySet<string>): VirtualHost | undefined {
  const domains = elsewhere.flatMap(({ hosts }) => hosts.map(({ host }) => host)).filter((host) => !taken.has(host));
  const [first] = elsewhere;
  if (domains.length === 0 || first === undefined) return undefined;
  const host = VirtualHost.fromPartial({
    name: `misdirected:${first.spec.port.number}`,
    domains: [...new Set(domains)],
    routes: [
      {
        name: "misdirected",
        match: { pathSpecifier: { $case: "prefix", value: "/" } },
        action: {
          $case: "directResponse",
          value: { status: 421, body: { specifier: { $case: "inlineString", value: MISDIRECTED } } },
        },
      },
    ],
  });
  host.metadata = metadataOf({ resource: serverText([first]), rule: `${first.path}.hosts` });
  return host;
}

/** No VirtualService: every request gets a 404 that names the Gateway. */
function unboundHost(servers: readonly PlacedServer[]): VirtualHost {
  const [first] = servers;
  const host = VirtualHost.fromPartial({ name: `blackhole:${first?.spec.port.number ?? 0}`, domains: ["*"] });
  host.metadata = metadataOf({
    resource: serverText(servers),
    rule: `${first?.path ?? "spec.servers"}: no VirtualService is bound to it for its hosts`,
  });
  return host;
}

function serverText(servers: readonly PlacedServer[]): string {
  return [...new Set(servers.map(({ resource }) => formatRef(resource)))].join(", ");
}
