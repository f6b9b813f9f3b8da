// The names of a STRICT_DNS or LOGICAL_DNS cluster: each is resolved on its own time, and its addresses are told whenever
// they or the first of them change.

import { isIP } from "node:net";
import { backoffMs } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Result } from "../../base/result.ts";
import type { DnsConfig, EndpointConfig } from "../compile/cluster.ts";
import type { Resolve, Resolved } from "../socket/dns.ts";
import type { ClusterStats } from "./stats.ts";

export interface DnsAround {
  readonly clock: Clock;
  readonly random: Random;
  readonly resolve: Resolve;
  readonly stats: ClusterStats;
  /** The hosts, once every name has been tried, and then whenever they change. */
  readonly onHosts: (endpoints: readonly EndpointConfig[]) => void;
}

interface Target {
  readonly endpoint: EndpointConfig;
  hosts: readonly EndpointConfig[];
  tried: boolean;
  failures: number;
  timer: { cancel(): void } | undefined;
}

export class StrictDns {
  readonly #config: DnsConfig;
  readonly #around: DnsAround;
  readonly #targets: readonly Target[];
  #closed = false;

  constructor(endpoints: readonly EndpointConfig[], config: DnsConfig, around: DnsAround) {
    this.#config = config;
    this.#around = around;
    this.#targets = endpoints.map((endpoint) => {
      const plain = isIP(endpoint.host) !== 0 || endpoint.path !== undefined;
      return { endpoint, hosts: plain ? [endpoint] : [], tried: plain, failures: 0, timer: undefined };
    });
  }

  start(): void {
    this.#tell();
    for (const target of this.#targets) if (!target.tried) this.#resolve(target);
  }

  close(): void {
    this.#closed = true;
    for (const target of this.#targets) target.timer?.cancel();
  }

  #resolve(target: Target): void {
    const { counters } = this.#around.stats;
    counters.update_attempt.value += 1;
    const { families, respectTtl } = this.#config;
    const family = families === "v4" ? 4 : families === "v6" ? 6 : 0;
    this.#around.resolve({ name: target.endpoint.host, family, withTtl: respectTtl }, (result) => {
      if (!this.#closed) this.#onAnswer(target, result);
    });
  }

  #onAnswer(target: Target, result: Result<Resolved, string>): void {
    const { stats, clock } = this.#around;
    const first = !target.tried;
    target.tried = true;
    let changed = first;
    if (result.ok) {
      target.failures = 0;
      stats.counters.update_success.value += 1;
      if (result.value.addresses.length === 0) stats.counters.update_empty.value += 1;
      const addresses = ofFamilies([...new Set(result.value.addresses)], this.#config.families);
      const hosts = addresses.map((address) => resolved(target.endpoint, address));
      changed ||= addressesOf(hosts) !== addressesOf(target.hosts) || hosts[0]?.address !== target.hosts[0]?.address;
      target.hosts = hosts;
    } else {
      // The hosts that the name had stay.
      target.failures += 1;
      stats.counters.update_failure.value += 1;
    }
    target.timer = clock.after(this.#delayMs(target, result), () => this.#resolve(target));
    if (changed) this.#tell();
  }

  #delayMs(target: Target, result: Result<Resolved, string>): number {
    const { refreshMs, failureBaseMs, failureMaxMs, respectTtl } = this.#config;
    if (result.ok) {
      const { ttlMs } = result.value;
      return respectTtl && ttlMs !== undefined && ttlMs > 0 ? ttlMs : refreshMs;
    }
    if (failureBaseMs === undefined) return refreshMs;
    return backoffMs(target.failures, { baseMs: failureBaseMs, maxMs: failureMaxMs, random: this.#around.random });
  }

  #tell(): void {
    if (this.#targets.some((target) => !target.tried)) return;
    this.#around.onHosts(this.#targets.flatMap((target) => target.hosts));
  }
}

function ofFamilies(addresses: readonly string[], families: DnsConfig["families"]): readonly string[] {
  if (families !== "v4-else-v6" && families !== "v6-else-v4") return addresses;
  const wanted = addresses.filter((address) => isIP(address) === (families === "v4-else-v6" ? 4 : 6));
  return wanted.length > 0 ? wanted : addresses;
}

function addressesOf(hosts: readonly EndpointConfig[]): string {
  return hosts
    .map((host) => host.address)
    .sort()
    .join();
}

function resolved(endpoint: EndpointConfig, address: string): EndpointConfig {
  const text = address.includes(":") ? `[${address}]:${endpoint.port}` : `${address}:${endpoint.port}`;
  return { ...endpoint, host: address, address: text, hostname: endpoint.hostname || endpoint.host };
}
