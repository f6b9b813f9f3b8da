// The hosts of an ORIGINAL_DST cluster, or of one whose requests name them: made when a connection was on its way to one, gone when they have not been used for a while.

import type { EndpointConfig } from "../compile/cluster.ts";
import type { Host } from "./host.ts";

export interface Destination {
  readonly host: string;
  readonly port: number;
}

export class OriginalDst {
  readonly #hosts = new Map<string, { readonly host: Host; usedMs: number }>();
  readonly #portOverride: number;
  readonly #cleanupMs: number;
  readonly #hostsMax: number;

  constructor(options: { readonly portOverride: number; readonly cleanupMs: number; readonly hostsMax: number }) {
    this.#hostsMax = options.hostsMax;
    this.#portOverride = options.portOverride;
    this.#cleanupMs = options.cleanupMs;
  }

  get hosts(): readonly Host[] {
    return [...this.#hosts.values()].map(({ host }) => host);
  }

  /** Undefined: too many at a time. `make` is called for a destination that is new. */
  pick(destination: Destination, nowMs: number, make: (endpoint: EndpointConfig) => Host): Host | undefined {
    const port = this.#portOverride === 0 ? destination.port : this.#portOverride;
    const address = destination.host.includes(":") ? `[${destination.host}]:${port}` : `${destination.host}:${port}`;
    let entry = this.#hosts.get(address);
    if (entry === undefined) {
      if (this.#hosts.size >= this.#hostsMax) return undefined;
      entry = { host: make(originalEndpoint(address, destination.host, port)), usedMs: nowMs };
      this.#hosts.set(address, entry);
    }
    entry.usedMs = nowMs;
    return entry.host;
  }

  /** The hosts that went. */
  sweep(nowMs: number): readonly Host[] {
    const gone: Host[] = [];
    for (const [address, entry] of this.#hosts) {
      const { stats } = entry.host;
      if (stats.cx_active > 0 || stats.rq_active > 0) entry.usedMs = nowMs;
      if (nowMs - entry.usedMs < this.#cleanupMs) continue;
      this.#hosts.delete(address);
      gone.push(entry.host);
    }
    return gone;
  }
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
    localityMetadata: undefined,
    workload: "",
    check: undefined,
    policy: { overprovisioningPercent: 140, weightedPriorityHealth: false },
  };
}
