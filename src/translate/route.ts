// Route configurations: one for each HTTP port, one for each sniffed port, or all in one in explicit mode.

import type { MeshConfig } from "../model/mesh-config.ts";
import { findRoutes, type HostRoutes } from "../model/routing.ts";
import type { Service, ServicePort } from "../model/service.ts";
import { visibleService } from "../model/services.ts";
import { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import { Route, VirtualHost } from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { PEER_HEADER } from "./agent.ts";
import { setHashPolicy } from "./consistent-hash.ts";
import { egressTarget, hasEgressProxy, policySource } from "./egress.ts";
import { type DeadEnd, defaultRoute, headersToAdd, hostRoutes } from "./http-route.ts";
import { callNames, outboundName, podCallNames, podName } from "./names.ts";
import { podEndpoints } from "./target.ts";
import { decorate } from "./tracing.ts";
import type { ClientView } from "./view.ts";
import { metadataOf } from "./wire.ts";

export const EXPLICIT_ROUTES = "http_proxy";
const HTTP_PORT = 80;

export interface BuiltRouteConfig {
  readonly config: RouteConfiguration;
  readonly deadEnds: readonly DeadEnd[];
}

export function routeConfigs(view: ClientView): readonly BuiltRouteConfig[] {
  if (view.mode === "NONE") return [explicitConfig(view)];
  return [
    ...httpPorts(view).map((port) => portConfig(port, view)),
    ...sniffedPorts(view).map(({ service, port }) => sniffedConfig(service, port, view)),
  ];
}

/** Port numbers that at least one service declares as HTTP. */
export function httpPorts(view: ClientView): readonly number[] {
  const numbers = view.services.flatMap(({ ports }) =>
    ports.filter((port) => port.protocol === "http").map((port) => port.number),
  );
  return [...new Set(numbers)].sort((a, b) => a - b);
}

interface PortOf {
  readonly service: Service;
  readonly port: ServicePort;
}

function sniffedPorts(view: ClientView): readonly PortOf[] {
  return view.services.flatMap((service) =>
    service.ports
      .filter((port) => port.protocol === "sniffed" && hasListener(service, port))
      .map((port) => ({ service, port })),
  );
}

/** A headless service without pods has none. */
function hasListener(service: Service, port: ServicePort): boolean {
  return service.addresses.length > 0 || podEndpoints(service, port).length > 0;
}

export function sniffedRouteName(service: Service, port: ServicePort): string {
  return `${service.host}:${port.number}`;
}

/** Of a listener at a place of its own. */
export function placedConfig(name: string, port: number | undefined, view: ClientView): BuiltRouteConfig {
  // It is no address that a request for another host was meant for.
  const known = view.outboundTrafficPolicy === "ALLOW_ANY" && !hasEgressProxy(view);
  const last = known ? refusalHost(NOT_SERVED) : egressHost(view);
  return port === undefined ? namedConfig(name, last, view, true) : portConfig(port, view, { name, last });
}

const NOT_SERVED = "This host is none of those that this listener of the Sidecar has.\n";

function portConfig(
  number: number,
  view: ClientView,
  { name, last } = { name: String(number), last: egressHost(view) },
): BuiltRouteConfig {
  const builder = new HostBuilder(view);
  for (const service of view.services) {
    const port = service.ports.find((each) => each.number === number && each.protocol === "http");
    if (port === undefined) continue;
    builder.addService(service, port, withPort(callNames(service, view), number));
    builder.addPods(service, port);
  }
  builder.addForeignHosts(number, (host) => withPort([host], number));
  return builder.finish(name, last);
}

function sniffedConfig(service: Service, port: ServicePort, view: ClientView): BuiltRouteConfig {
  const builder = new HostBuilder(view);
  builder.addPods(service, port);
  builder.addService(service, port, ["*"]);
  return builder.finish(sniffedRouteName(service, port), undefined);
}

function explicitConfig(view: ClientView): BuiltRouteConfig {
  // Without an original destination only a name can lead a foreign host's request on.
  const known = view.outboundTrafficPolicy === "ALLOW_ANY" && !hasEgressProxy(view);
  return namedConfig(EXPLICIT_ROUTES, known ? refusalHost(NOT_OF_MESH) : egressHost(view), view);
}

/**
 * Where requests say host and port themselves, so that the domains carry the port; 80 may be left out. `only`: so may the
 * one port of a service that has no other.
 */
function namedConfig(name: string, last: VirtualHost, view: ClientView, only = false): BuiltRouteConfig {
  const builder = new HostBuilder(view);
  const domains = (names: readonly string[], port: number, bare = port === HTTP_PORT): string[] =>
    names.flatMap((each) => (bare ? [each, `${each}:${port}`] : [`${each}:${port}`]));
  for (const service of view.services) {
    const ports = service.ports.filter((each) => each.protocol !== "tcp");
    for (const port of ports) {
      const bare = port.number === HTTP_PORT || (only && ports.length === 1);
      builder.addService(service, port, domains(callNames(service, view), port.number, bare));
    }
  }
  builder.addForeignHosts(HTTP_PORT, (host) => domains([host], HTTP_PORT));
  return builder.finish(name, last);
}

function withPort(names: readonly string[], port: number): string[] {
  return names.flatMap((name) => [name, `${name}:${port}`]);
}

interface HostOf {
  /** A service without rules. */
  readonly plain?: Service | undefined;
  /** Outside the mesh. */
  readonly external?: boolean;
}

class HostBuilder {
  readonly #view: ClientView;
  readonly #hosts: VirtualHost[] = [];
  readonly #deadEnds: DeadEnd[] = [];
  readonly #taken = new Set<string>();

  constructor(view: ClientView) {
    this.#view = view;
  }

  addService(service: Service, port: ServicePort, domains: readonly string[]): void {
    const rules = findRoutes(this.#view.routes, service.host);
    const cluster = outboundName(port.number, undefined, service.host);
    const routes = this.#routes(rules, port.number, cluster);
    const [plain] = routes;
    if (rules === undefined && plain?.action?.$case === "route") {
      const target = { host: service.host, port: port.number, subset: undefined };
      setHashPolicy(plain.action.value, [target], this.#view);
    }
    const own = rules === undefined && plain?.action?.$case === "route" && plain.action.value.hashPolicy.length === 0;
    this.#add(`${service.host}:${port.number}`, domains, routes, {
      plain: own ? service : undefined,
      external: service.external,
    });
  }

  /** A pod of a headless service that is called by itself is the one that is meant. */
  addPods(service: Service, port: ServicePort): void {
    for (const { hostname, address, port: number, hasSidecar } of podEndpoints(service, port)) {
      const names = podCallNames(service, { name: hostname, address }, this.#view);
      const cluster = podName(port.number, service.host, hasSidecar);
      this.#add(`${address}:${number}`, withPort(names, number), [this.#plainRoute(cluster)]);
    }
  }

  /** Hosts that VirtualServices route although no service has them. */
  addForeignHosts(port: number, domains: (host: string) => readonly string[]): void {
    for (const rules of this.#view.routes.values()) {
      if (rules.http.length === 0) continue;
      if (visibleService(this.#view.snapshot.index, rules.host, this.#view.namespace) !== undefined) continue;
      this.#add(`${rules.host}:${port}`, domains(rules.host), this.#routes(rules, port, undefined));
    }
  }

  finish(name: string, last: VirtualHost | undefined): BuiltRouteConfig {
    const virtualHosts = last === undefined ? this.#hosts : [...this.#hosts, last];
    const config = RouteConfiguration.fromPartial({ name, validateClusters: false });
    config.virtualHosts = virtualHosts;
    config.maxDirectResponseBodySizeBytes = 1_048_576;
    return { config, deadEnds: this.#deadEnds };
  }

  #routes(rules: HostRoutes | undefined, port: number, cluster: string | undefined): Route[] {
    if (rules === undefined || rules.http.length === 0) return cluster === undefined ? [] : [this.#plainRoute(cluster)];
    const built = hostRoutes(rules, port, this.#view);
    this.#deadEnds.push(...built.deadEnds);
    return built.routes;
  }

  #plainRoute(cluster: string): Route {
    return defaultRoute(cluster, this.#view.snapshot.mesh.settings.defaultHttpRetryPolicy);
  }

  /** A domain belongs to the first that claims it: Envoy refuses a configuration where two do. */
  #add(name: string, domains: readonly string[], routes: Route[], of: HostOf = {}): void {
    const { plain } = of;
    const free = domains.filter((domain) => !this.#taken.has(domain));
    for (const domain of free) this.#taken.add(domain);
    if (free.length === 0) return;
    const make = (): VirtualHost => {
      const host = VirtualHost.fromPartial({ name, domains: [...new Set(free)], includeRequestAttemptCount: true });
      host.routes = routes;
      if (of.external === true) hideClient(host, this.#view);
      if (this.#view.telemetry.client !== undefined) for (const route of routes) decorate(route, name);
      return host;
    };
    const isPlain = plain !== undefined && this.#view.telemetry.client === undefined;
    this.#hosts.push(
      isPlain
        ? plainHost(this.#view.snapshot.mesh, plain, `${this.#view.telemetry.agent} ${name} ${free.join(" ")}`, make)
        : make(),
    );
  }
}

/** Of services without rules, by what makes them up: equal ones stay the same value, which is encoded once. */
const plainHosts = new WeakMap<MeshConfig, WeakMap<Service, Map<string, VirtualHost>>>();

function plainHost(mesh: MeshConfig, service: Service, key: string, make: () => VirtualHost): VirtualHost {
  const ofMesh = plainHosts.get(mesh) ?? new WeakMap<Service, Map<string, VirtualHost>>();
  plainHosts.set(mesh, ofMesh);
  const ofService = ofMesh.get(service) ?? new Map<string, VirtualHost>();
  ofMesh.set(service, ofService);
  const host = ofService.get(key) ?? make();
  ofService.set(key, host);
  return host;
}

function egressHost(view: ClientView): VirtualHost {
  if (view.outboundTrafficPolicy === "REGISTRY_ONLY") return blockedHost(view);
  const host = VirtualHost.fromPartial({ name: "allow_any", domains: ["*"], includeRequestAttemptCount: true });
  const route = defaultRoute(egressTarget(view).cluster);
  route.name = "allow_any";
  // What isn't the mesh's is neither retried nor timed.
  if (route.action?.$case === "route") route.action.value.retryPolicy = undefined;
  host.routes = [route];
  hideClient(host, view);
  return host;
}

/** Who calls is the mesh's own business. */
function hideClient(host: VirtualHost, { telemetry }: ClientView): void {
  if (telemetry.agent) host.requestHeadersToRemove = [PEER_HEADER];
}

/** The answer itself says which setting refuses it, whatever proxy gives it. */
function blockedHost(view: ClientView): VirtualHost {
  const source = policySource(view);
  const cause = `${source.resource} ${source.rule} REGISTRY_ONLY: no service or ServiceEntry has this host`;
  const route = refusal(`${cause}. Add a ServiceEntry for it, or set ${source.rule} to ALLOW_ANY.\n`);
  route.metadata = metadataOf(source);
  route.responseHeadersToAdd = headersToAdd({ set: { "x-weft-cause": cause } });
  const host = VirtualHost.fromPartial({ name: "block_all", domains: ["*"], includeRequestAttemptCount: true });
  host.routes = [route];
  return host;
}

function refusal(text: string): Route {
  return Route.fromPartial({
    name: "block_all",
    match: { pathSpecifier: { $case: "prefix", value: "/" } },
    action: {
      $case: "directResponse",
      value: { status: 502, body: { specifier: { $case: "inlineString", value: text } } },
    },
  });
}

const NOT_OF_MESH =
  "This host is not a service of the mesh, and in explicit mode the proxy reaches only those. Exclude it with no_proxy.\n";

/** Where there is no original destination to pass a foreign host's request on to. */
function refusalHost(text: string): VirtualHost {
  return VirtualHost.fromPartial({ name: "block_all", domains: ["*"], routes: [refusal(text)] });
}
