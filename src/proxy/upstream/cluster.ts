// A cluster at run time: its hosts, how one is picked, what limits hold. A new configuration is a new cluster; new endpoints are not.

import { isIP } from "node:net";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Registry } from "../../observe/metrics.ts";
import type { HeaderList } from "../codec/headers.ts";
import type { ClusterConfig, EndpointConfig } from "../compile/cluster.ts";
import type { HealthCheckConfig } from "../compile/health-check.ts";
import { ORIGINAL_DST_HOSTS_MAX, SWEEP_MS } from "../limits.ts";
import { TlsContexts } from "../socket/contexts.ts";
import { SessionCache, type UpstreamName } from "../socket/dial.ts";
import type { Resolve } from "../socket/dns.ts";
import { type Client, proxyHeader } from "../socket/proxy-header.ts";
import type { SecretSource } from "../socket/secret.ts";
import { Breaker, type SharedCells } from "./breaker.ts";
import type { HealthChecker } from "./health-check.ts";
import { Host } from "./host.ts";
import { LoadBalancer, type PickContext } from "./lb.ts";
import { type Destination, OriginalDst } from "./original-dst.ts";
import { type HostMonitor, OutlierDetector } from "./outlier.ts";
import { ClusterStats } from "./stats.ts";
import { StrictDns } from "./strict-dns.ts";
import { SubsetBalancer } from "./subset.ts";

export interface UpstreamAround {
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: Registry;
  readonly resolve: Resolve;
  readonly secrets: SecretSource | undefined;
  /** The pod's own address, where a firewall leads what comes in for it through this proxy. */
  readonly selfIp: string | undefined;
  /** Where several workers serve: what they have in common. */
  readonly shared?: SharedUpstream | undefined;
}

export interface SharedUpstream {
  /** Undefined where no cells are left: each worker then counts for itself. */
  cells(cluster: string): SharedCells | undefined;
  onEjected(cluster: string, address: string, ms: number): void;
}

const SELF_CALL_SOURCE_IP = "127.0.0.7";

export class Cluster {
  readonly config: ClusterConfig;
  readonly around: UpstreamAround;
  readonly stats: ClusterStats;
  readonly sessions = new SessionCache();
  readonly outlier: OutlierDetector | undefined;
  hosts: readonly Host[] = [];
  /** Endpoints have been told once (static ones at once). */
  warm = false;
  readonly #default: Breaker;
  readonly #high: Breaker;
  readonly #lb: LoadBalancer | SubsetBalancer;
  readonly #tls: TlsContexts | undefined;
  readonly #matches: readonly {
    readonly match: readonly (readonly [string, unknown])[];
    readonly tls: TlsContexts | undefined;
  }[];
  readonly #inbound: boolean;
  readonly #originalDst: OriginalDst | undefined;
  readonly #dns: StrictDns | undefined;
  #checker: HealthChecker | undefined;
  /** Hosts that have not been checked yet: they hold up the cluster's start. */
  readonly #unchecked = new Set<Host>();
  #told = false;
  #sweepTimer: { cancel(): void } | undefined;
  #closed = false;
  readonly #onWarm: () => void;

  constructor(config: ClusterConfig, around: UpstreamAround, onWarm: () => void) {
    this.config = config;
    this.around = around;
    this.#onWarm = onWarm;
    this.#inbound = config.name.startsWith("inbound|") || config.name === "InboundPassthroughCluster";
    this.stats = new ClusterStats(around.registry, config.statName);
    const cells = around.shared?.cells(config.name);
    this.#default = new Breaker(config.breakers.default, this.stats.scope, "default", cells);
    this.#high = new Breaker(config.breakers.high, this.stats.scope, "high", cells);
    this.#lb = this.#makeBalancer();
    this.#tls = config.tls === undefined ? undefined : new TlsContexts(config.tls, around.secrets);
    this.#matches = config.socketMatches.map((one) => ({
      match: one.match,
      tls: one.tls === undefined ? undefined : new TlsContexts(one.tls, around.secrets),
    }));
    this.outlier =
      config.outlier === undefined
        ? undefined
        : new OutlierDetector(config.outlier, {
            clock: around.clock,
            random: around.random,
            scope: this.stats.scope,
            hosts: () => this.hosts,
            onChange: (monitor, ejected) => this.#onOutlier(monitor, ejected),
            onEjected: (monitor) => this.#tellEjected(monitor),
          });
    const { lb, cleanupMs } = config;
    if (lb.kind === "original-dst") {
      this.#originalDst = new OriginalDst({ ...lb, cleanupMs, hostsMax: ORIGINAL_DST_HOSTS_MAX });
    } else if (lb.kind === "dynamic-dns") {
      this.#originalDst = new OriginalDst({ ...lb, cleanupMs, portOverride: 0 });
    }
    const byName = config.discovery === "strict-dns" || config.discovery === "logical-dns";
    this.#dns = byName ? this.#makeDns() : undefined;
    if (config.healthCheck !== undefined) void this.#loadChecker(config.healthCheck);
    this.#begin();
    this.#sweepLater();
  }

  /**
   * A pod that calls its own service is called like any other: through its inbound listener. The firewall tells such a
   * connection from the inbound side's own ones, which must not come back, by its source address.
   */
  sourceFor(host: string): string | undefined {
    if (host !== this.around.selfIp || this.#inbound) return undefined;
    return SELF_CALL_SOURCE_IP;
  }

  /** What a request says about the names to send and to check, where the cluster takes them from it. */
  nameFor(authority: string, headers: HeaderList, client?: Client): UpstreamName | undefined {
    const auto = this.config.autoName;
    const announcement = this.announcementFor(client);
    if (auto === undefined) {
      return announcement === undefined ? undefined : { sni: undefined, verified: undefined, announcement };
    }
    const value = (auto.header === undefined ? undefined : headers.get(auto.header)) ?? authority;
    const host = /^\[([^\]]*)\]/.exec(value)?.[1] ?? value.replace(/:\d*$/, "");
    // An address is no server name (RFC 6066).
    return {
      sni: auto.sni && isIP(host) === 0 ? host : undefined,
      verified: auto.verify ? host : undefined,
      announcement,
    };
  }

  /** The PROXY protocol's header, where connections begin with one: of a client's connection, or of the proxy's own. */
  announcementFor(client: Client | undefined): Buffer | undefined {
    const { announces } = this.config;
    return announces === undefined ? undefined : proxyHeader(announces, client);
  }

  /** Where a cluster of names leads a request: to the host that it says, by TLS's port or HTTP's where it says none. */
  destinationOf(authority: string): Destination | undefined {
    const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(authority) ?? [];
    const host = bracketed ?? plain;
    if (host === undefined) return undefined;
    return { host: host.toLowerCase(), port: port === undefined ? (this.#tls === undefined ? 80 : 443) : Number(port) };
  }

  breaker(priority: "default" | "high"): Breaker {
    return priority === "high" ? this.#high : this.#default;
  }

  /** The first transport socket whose match the labels of the endpoint, else of its locality, satisfy; the cluster's own otherwise. */
  tlsFor(endpoint: EndpointConfig): TlsContexts | undefined {
    return this.#tlsOf(
      endpoint.metadata?.filterMetadata[SOCKET_LABELS] ?? endpoint.localityMetadata?.filterMetadata[SOCKET_LABELS],
    );
  }

  #tlsOf(labels: Readonly<Record<string, unknown>> | undefined): TlsContexts | undefined {
    for (const one of this.#matches) {
      if (one.match.every(([key, value]) => labels !== undefined && labels[key] === value)) return one.tls;
    }
    return this.#tls;
  }

  /** Every TLS context of this cluster. */
  #tellEjected(monitor: HostMonitor): void {
    const host = this.hosts.find((one) => one.monitor === monitor);
    if (host !== undefined) {
      this.around.shared?.onEjected(this.config.name, host.endpoint.address, monitor.ejectionMs);
    }
  }

  /** Another worker found the host sick. */
  ejectHost(address: string, ms: number): void {
    const host = this.hosts.find(({ endpoint }) => endpoint.address === address);
    if (host !== undefined) this.outlier?.ejectElsewhere(host.monitor, ms);
  }

  contexts(): readonly TlsContexts[] {
    return [this.#tls, ...this.#matches.map((one) => one.tls)].filter((one) => one !== undefined);
  }

  setEndpoints(endpoints: readonly EndpointConfig[]): void {
    const known = new KnownHosts(this.hosts);
    const next: Host[] = [];
    let added = 0;
    for (const endpoint of endpoints) {
      const host = known.take(endpoint);
      if (host !== undefined) {
        host.endpoint = endpoint;
        host.leaving = false;
        next.push(host);
      } else {
        next.push(this.#newHost(endpoint));
        added += 1;
      }
    }
    const gone: Host[] = [];
    for (const host of known.left()) {
      host.leaving = this.#outlastsDiscovery(host);
      if (host.leaving) next.push(host);
      else gone.push(host);
    }
    this.hosts = next;
    for (const host of gone) this.#dropHost(host);
    this.stats.counters.membership_change.value += added + gone.length > 0 ? 1 : 0;
    if (this.config.balancing.closeOnHostsChange && this.#told && added + gone.length > 0)
      for (const host of next) host.renew();
    this.#told = true;
    this.healthChanged();
    this.#checker?.setHosts(next);
    if (this.#unchecked.size === 0) this.#becomeWarm();
  }

  /** EDS did not answer in time: the cluster serves with no host rather than hold everything up. */
  giveUpWarming(): void {
    this.#becomeWarm();
  }

  healthChanged(): void {
    this.#lb.update(this.hosts);
    let healthy = 0;
    let degraded = 0;
    let excluded = 0;
    for (const host of this.hosts) {
      if (host.excluded) excluded += 1;
      const { health } = host;
      if (health === "healthy") healthy += 1;
      else if (health === "degraded") degraded += 1;
    }
    const { gauges } = this.stats;
    gauges.membership_total.value = this.hosts.length;
    gauges.membership_healthy.value = healthy;
    gauges.membership_degraded.value = degraded;
    gauges.membership_excluded.value = excluded;
  }

  pick(context: PickContext, destination: Destination | undefined): Host | undefined {
    if (this.#originalDst !== undefined) return this.#pickOriginal(this.#originalDst, context.override ?? destination);
    const host = this.#lb.pick(context);
    if (host === undefined) this.stats.counters.upstream_cx_none_healthy.value += 1;
    return host;
  }

  close(): void {
    this.#closed = true;
    this.outlier?.close();
    this.#dns?.close();
    this.#checker?.close();
    this.#sweepTimer?.cancel();
    for (const host of this.hosts) host.drain();
    for (const contexts of this.contexts()) contexts.close();
  }

  #makeBalancer(): LoadBalancer | SubsetBalancer {
    const { lb, balancing, subsets } = this.config;
    const { clock, random } = this.around;
    const options = { lb, balancing, clock, random, panics: this.stats.counters.lb_healthy_panic };
    return subsets === undefined ? new LoadBalancer(options) : new SubsetBalancer(subsets, options, this.stats.scope);
  }

  #makeDns(): StrictDns {
    const { clock, random, resolve } = this.around;
    return new StrictDns(this.config.endpoints, this.config.dns, {
      clock,
      random,
      resolve,
      stats: this.stats,
      onHosts: (endpoints) =>
        this.config.discovery === "logical-dns" ? this.#moveTo(endpoints) : this.setEndpoints(endpoints),
    });
  }

  /** LOGICAL_DNS: one host, whose next connections go to the name's first address; those that are open stay. */
  #moveTo(endpoints: readonly EndpointConfig[]): void {
    const [first] = endpoints;
    const [host] = this.hosts;
    if (host === undefined) this.setEndpoints(endpoints.slice(0, 1));
    else if (first !== undefined) host.endpoint = first;
  }

  #begin(): void {
    const { discovery, endpoints, waitsForWarm } = this.config;
    if (discovery === "static") this.setEndpoints(endpoints);
    else this.#dns?.start();
    if (this.#originalDst !== undefined || !waitsForWarm) this.#becomeWarm();
  }

  #becomeWarm(): void {
    if (this.warm) return;
    this.warm = true;
    this.#onWarm();
  }

  async #loadChecker(config: HealthCheckConfig): Promise<void> {
    const { HealthChecker } = await import("./health-check.ts");
    if (this.#closed) return;
    const { clock, random } = this.around;
    const { socketLabels } = config;
    this.#checker = new HealthChecker(config, {
      clock,
      random,
      scope: this.stats.scope,
      sessions: this.sessions,
      clusterName: this.config.name,
      hasTraffic: () => this.stats.counters.upstream_cx_total.value > 0,
      tlsOf: (host) => (socketLabels === undefined ? host.tls : this.#tlsOf(socketLabels)),
      onResult: (host, result) => this.#onChecked(host, result),
    });
    this.#checker.setHosts(this.hosts);
  }

  #onChecked(host: Host, result: { readonly passed: boolean; readonly changed: boolean }): void {
    this.#unchecked.delete(host);
    if (result.passed) this.outlier?.onCheckPassed(host);
    if (result.changed) {
      if (result.passed) host.healthySinceMs = this.around.clock.monotonicMs();
      else this.#onFailing(host);
      this.healthChanged();
    }
    if (this.#told && this.#unchecked.size === 0) this.#becomeWarm();
  }

  #onOutlier(monitor: HostMonitor, ejected: boolean): void {
    const host = this.hosts.find((one) => one.monitor === monitor);
    if (host !== undefined && ejected) host.fail();
    this.healthChanged();
  }

  #onFailing(host: Host): void {
    if (!host.leaving) {
      host.fail();
      return;
    }
    this.hosts = this.hosts.filter((one) => one !== host);
    this.#dropHost(host);
    this.stats.counters.membership_change.value += 1;
    this.#checker?.setHosts(this.hosts);
  }

  /** A host that is healthy by its checks is believed more than a discovery that leaves it out. */
  #outlastsDiscovery(host: Host): boolean {
    if (this.config.healthCheck === undefined || this.config.dropsHealthyHosts) return false;
    return host.endpoint.check?.disabled !== true && !host.checked.failing;
  }

  #newHost(endpoint: EndpointConfig): Host {
    const host = new Host(endpoint, this);
    if (this.config.healthCheck !== undefined && endpoint.check?.disabled !== true) {
      host.checked.failing = true;
      host.checked.pending = this.config.balancing.ignoreNewUntilChecked;
      this.#unchecked.add(host);
      return host;
    }
    // Those that were there from the beginning start together, and so at full weight.
    if (this.#told) host.healthySinceMs = this.around.clock.monotonicMs();
    return host;
  }

  #dropHost(host: Host): void {
    host.drain();
    this.#unchecked.delete(host);
    this.outlier?.onGone(host);
  }

  #pickOriginal(hosts: OriginalDst, destination: Destination | undefined): Host | undefined {
    if (destination === undefined) return undefined;
    let fresh = false;
    const host = hosts.pick(destination, this.around.clock.monotonicMs(), (endpoint) => {
      fresh = true;
      return new Host(endpoint, this);
    });
    if (fresh) this.#showOriginal(hosts);
    return host;
  }

  #showOriginal(hosts: OriginalDst): void {
    this.hosts = hosts.hosts;
    this.healthChanged();
  }

  #sweepLater(): void {
    this.#sweepTimer = this.around.clock.after(SWEEP_MS, () => {
      if (this.#closed) return;
      const nowMs = this.around.clock.monotonicMs();
      for (const host of this.hosts) host.sweep(nowMs);
      const hosts = this.#originalDst;
      const gone = hosts?.sweep(nowMs) ?? [];
      for (const host of gone) this.#dropHost(host);
      if (hosts !== undefined && gone.length > 0) this.#showOriginal(hosts);
      this.#sweepLater();
    });
  }
}

const SOCKET_LABELS = "envoy.transport_socket_match";

/** The hosts of before, to be found again by priority and address, or by address where the priority is another now. */
class KnownHosts {
  readonly #hosts = new Map<string, Host[]>();

  constructor(hosts: readonly Host[]) {
    for (const host of hosts) {
      const same = this.#hosts.get(host.address);
      if (same === undefined) this.#hosts.set(host.address, [host]);
      else same.push(host);
    }
  }

  take(endpoint: EndpointConfig): Host | undefined {
    const same = this.#hosts.get(endpoint.address)?.filter((host) => sameTransport(host.endpoint, endpoint)) ?? [];
    const found = same.find((host) => host.endpoint.priority === endpoint.priority) ?? same[0];
    if (found === undefined) return undefined;
    const rest = this.#hosts.get(endpoint.address)?.filter((host) => host !== found) ?? [];
    if (rest.length === 0) this.#hosts.delete(endpoint.address);
    else this.#hosts.set(endpoint.address, rest);
    return found;
  }

  left(): readonly Host[] {
    return [...this.#hosts.values()].flat();
  }
}

/** Whether a host may keep its connections: how they are made depends on the endpoint's labels. */
function sameTransport(before: EndpointConfig, after: EndpointConfig): boolean {
  return labelText(before) === labelText(after);
}

function labelText(endpoint: EndpointConfig): string {
  const { metadata, localityMetadata } = endpoint;
  return JSON.stringify(
    metadata?.filterMetadata[SOCKET_LABELS] ?? localityMetadata?.filterMetadata[SOCKET_LABELS] ?? {},
  );
}
