// A cluster at run time: its hosts, how one is picked, what limits hold. A new configuration is a new cluster; new endpoints are not.

import { lookup } from "node:dns";
import { isIP } from "node:net";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Registry } from "../../observe/metrics.ts";
import type { ClusterConfig, EndpointConfig } from "../compile/cluster.ts";
import { ORIGINAL_DST_CLEANUP_MS, ORIGINAL_DST_HOSTS_MAX, SWEEP_MS } from "../limits.ts";
import { TlsContexts } from "../socket/contexts.ts";
import { SessionCache } from "../socket/dial.ts";
import type { SecretSource } from "../socket/secret.ts";
import { Breaker } from "./breaker.ts";
import { Host } from "./host.ts";
import { type Choice, LoadBalancer, makeChoice, type PickContext } from "./lb.ts";
import { OutlierDetector } from "./outlier.ts";
import { ClusterStats } from "./stats.ts";

export interface UpstreamAround {
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: Registry;
  readonly secrets: SecretSource | undefined;
  /** The pod's own address, where a firewall leads what comes in for it through this proxy. */
  readonly selfIp: string | undefined;
}

export interface Destination {
  readonly host: string;
  readonly port: number;
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
  readonly #lb: LoadBalancer;
  readonly #tls: TlsContexts | undefined;
  readonly #matches: readonly {
    readonly match: readonly (readonly [string, unknown])[];
    readonly tls: TlsContexts | undefined;
  }[];
  readonly #inbound: boolean;
  readonly #originalDst = new Map<string, Host>();
  #choice: Choice | undefined;
  #timers: { cancel(): void }[] = [];
  #closed = false;
  readonly #onWarm: () => void;

  constructor(config: ClusterConfig, around: UpstreamAround, onWarm: () => void) {
    this.config = config;
    this.around = around;
    this.#onWarm = onWarm;
    this.#inbound = config.name.startsWith("inbound|") || config.name === "InboundPassthroughCluster";
    this.stats = new ClusterStats(around.registry, config.statName);
    this.#default = new Breaker(config.breakers.default, this.stats.scope, "default");
    this.#high = new Breaker(config.breakers.high, this.stats.scope, "high");
    this.#lb = new LoadBalancer(config.lb, around.random);
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
            onChange: () => this.healthChanged(),
          });
    if (config.discovery === "static") this.setEndpoints(config.endpoints);
    if (config.discovery === "original-dst") this.warm = true;
    if (config.discovery === "strict-dns") this.#resolve();
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

  breaker(priority: "default" | "high"): Breaker {
    return priority === "high" ? this.#high : this.#default;
  }

  /** The first transport socket whose match the endpoint's metadata satisfies; the cluster's own otherwise. */
  tlsFor(endpoint: EndpointConfig): TlsContexts | undefined {
    const labels = endpoint.metadata?.filterMetadata["envoy.transport_socket_match"];
    for (const one of this.#matches) {
      if (one.match.every(([key, value]) => labels !== undefined && labels[key] === value)) return one.tls;
    }
    return this.#tls;
  }

  /** Every TLS context of this cluster. */
  contexts(): readonly TlsContexts[] {
    return [this.#tls, ...this.#matches.map((one) => one.tls)].filter((one) => one !== undefined);
  }

  setEndpoints(endpoints: readonly EndpointConfig[]): void {
    const known = new Map(this.hosts.map((host) => [host.address, host]));
    const next: Host[] = [];
    for (const endpoint of endpoints) {
      const host = known.get(endpoint.address);
      if (host !== undefined && sameTransport(host.endpoint, endpoint)) {
        known.delete(endpoint.address);
        host.endpoint = endpoint;
        next.push(host);
      } else next.push(new Host(endpoint, this));
    }
    this.hosts = next;
    for (const gone of known.values()) gone.drain();
    this.stats.counters.membership_change.value += 1;
    this.stats.counters.update_success.value += 1;
    this.healthChanged();
    if (!this.warm) {
      this.warm = true;
      this.#onWarm();
    }
  }

  /** EDS did not answer in time: the cluster serves with no host rather than hold everything up. */
  giveUpWarming(): void {
    if (this.warm) return;
    this.warm = true;
    this.#onWarm();
  }

  healthChanged(): void {
    this.#choice = undefined;
    let healthy = 0;
    for (const host of this.hosts) if (host.healthy) healthy += 1;
    const { gauges } = this.stats;
    gauges.membership_total.value = this.hosts.length;
    gauges.membership_healthy.value = healthy;
    gauges.membership_degraded.value = this.hosts.filter((host) => host.endpoint.health === "degraded").length;
  }

  pick(context: PickContext, destination: Destination | undefined): Host | undefined {
    if (this.config.lb.kind === "original-dst") return this.#pickOriginal(context.override ?? destination);
    this.#choice ??= makeChoice(this.hosts, this.config);
    if (this.#choice.panic) this.stats.counters.lb_healthy_panic.value += 1;
    const host = this.#lb.pick(this.#choice, context);
    if (host === undefined) this.stats.counters.upstream_cx_none_healthy.value += 1;
    return host;
  }

  close(): void {
    this.#closed = true;
    this.outlier?.close();
    for (const timer of this.#timers) timer.cancel();
    for (const host of [...this.hosts, ...this.#originalDst.values()]) host.drain();
    for (const contexts of this.contexts()) contexts.close();
  }

  #pickOriginal(destination: Destination | undefined): Host | undefined {
    if (destination === undefined) return undefined;
    const override = this.config.lb.kind === "original-dst" ? this.config.lb.portOverride : 0;
    const port = override === 0 ? destination.port : override;
    const address = destination.host.includes(":") ? `[${destination.host}]:${port}` : `${destination.host}:${port}`;
    let host = this.#originalDst.get(address);
    if (host === undefined) {
      if (this.#originalDst.size >= ORIGINAL_DST_HOSTS_MAX) return undefined;
      host = new Host(originalEndpoint(address, destination.host, port), this);
      this.#originalDst.set(address, host);
      this.#showOriginal();
    }
    host.lastUsedMs = this.around.clock.monotonicMs();
    return host;
  }

  #showOriginal(): void {
    this.hosts = [...this.#originalDst.values()];
    this.healthChanged();
  }

  #sweepLater(): void {
    const timer = this.around.clock.after(SWEEP_MS, () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
      if (this.#closed) return;
      const nowMs = this.around.clock.monotonicMs();
      for (const host of this.hosts) host.sweep(nowMs);
      let gone = false;
      for (const [address, host] of this.#originalDst) {
        const busy = host.stats.cx_active > 0 || host.stats.rq_active > 0;
        if (busy || nowMs - host.lastUsedMs < ORIGINAL_DST_CLEANUP_MS) continue;
        this.#originalDst.delete(address);
        gone = true;
      }
      if (gone) this.#showOriginal();
      this.#sweepLater();
    });
    this.#timers.push(timer);
  }

  /** Every name to all its addresses; a name that doesn't resolve keeps the hosts it had. */
  #resolve(): void {
    const { endpoints, dnsFamily, dnsRefreshMs } = this.config;
    const found: EndpointConfig[][] = endpoints.map((endpoint) => this.#lastOf(endpoint));
    let left = endpoints.length;
    const settle = () => {
      left -= 1;
      if (left > 0 || this.#closed) return;
      this.setEndpoints(found.flat());
      this.#timers.push(this.around.clock.after(dnsRefreshMs, () => this.#resolve()));
    };
    if (endpoints.length === 0) this.setEndpoints([]);
    for (const [index, endpoint] of endpoints.entries()) {
      if (isIP(endpoint.host) !== 0 || endpoint.path !== undefined) {
        found[index] = [endpoint];
        queueMicrotask(settle);
        continue;
      }
      lookup(endpoint.host, { all: true, family: dnsFamily }, (error, addresses) => {
        if (error === null) found[index] = addresses.map(({ address }) => resolved(endpoint, address));
        else this.stats.counters.update_failure.value += 1;
        settle();
      });
    }
  }

  #lastOf(endpoint: EndpointConfig): EndpointConfig[] {
    return this.hosts
      .map((host) => host.endpoint)
      .filter((one) => one.hostname === endpoint.host && one.port === endpoint.port);
  }
}

function resolved(endpoint: EndpointConfig, address: string): EndpointConfig {
  const text = address.includes(":") ? `[${address}]:${endpoint.port}` : `${address}:${endpoint.port}`;
  return { ...endpoint, host: address, address: text, hostname: endpoint.host };
}

function originalEndpoint(address: string, host: string, port: number): EndpointConfig {
  return {
    address,
    host,
    port,
    path: undefined,
    hostname: "",
    weight: 1,
    health: "healthy",
    priority: 0,
    locality: { region: "", zone: "", subZone: "" },
    localityWeight: 0,
    metadata: undefined,
    overprovisioning: 1.4,
  };
}

/** Whether a host may keep its connections: how they are made depends on the endpoint's labels. */
function sameTransport(before: EndpointConfig, after: EndpointConfig): boolean {
  const key = "envoy.transport_socket_match";
  return (
    JSON.stringify(before.metadata?.filterMetadata[key] ?? {}) ===
    JSON.stringify(after.metadata?.filterMetadata[key] ?? {})
  );
}
