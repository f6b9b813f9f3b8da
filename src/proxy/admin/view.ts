// What the admin interface shows of a running proxy. proxy/run implements it over the runtime tables.

import type { Registry } from "../../observe/metrics.ts";
import type { RecentLines } from "../../observe/recent-request.ts";
import type { Bootstrap } from "../../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import type { ResourceKind, ResourceTypes } from "../subscribe/source.ts";

export interface HostView {
  /** `10.0.0.1:8080`. */
  readonly address: string;
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  /** Envoy's words: `/failed_outlier_check`, `/failed_active_hc`, `/failed_eds_health`, `/degraded_eds_health`; none when healthy. */
  readonly healthFlags: readonly string[];
  readonly successRate: number;
  readonly localOriginSuccessRate: number;
  /** Counters and gauges by Envoy's short names: cx_active, cx_connect_fail, cx_total, rq_active, rq_error, rq_success, rq_timeout, rq_total, rq_pending. */
  readonly stats: Readonly<Record<string, number>>;
}

export interface CircuitBreakerView {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
}

export interface ClusterView {
  readonly name: string;
  readonly observabilityName: string;
  readonly addedViaApi: boolean;
  readonly edsServiceName: string;
  readonly outlier: { readonly successRateAverage: number; readonly successRateEjectionThreshold: number } | undefined;
  readonly defaultPriority: CircuitBreakerView;
  readonly highPriority: CircuitBreakerView;
  readonly hosts: readonly HostView[];
}

export interface ListenerView {
  readonly name: string;
  /** `0.0.0.0:15006`. */
  readonly address: string;
  readonly draining: boolean;
}

export interface DumpEntry<K extends ResourceKind> {
  readonly name: string;
  readonly version: string;
  /** From the bootstrap file, or from the control plane. */
  readonly origin: "static" | "dynamic";
  readonly state: "active" | "warming" | "draining" | "refused";
  readonly lastUpdatedMs: number;
  readonly resource: ResourceTypes[K];
  /** The reason of the last refusal, where the newest version was not accepted. */
  readonly refusal: string | undefined;
}

export interface CertificateView {
  readonly secretName: string;
  readonly caPem: string | undefined;
  readonly chainPem: string | undefined;
}

export interface RuntimeView {
  readonly layers: readonly string[];
  readonly entries: ReadonlyMap<string, { readonly layerValues: readonly string[]; readonly finalValue: string }>;
}

export type ServerState = "LIVE" | "DRAINING" | "PRE_INITIALIZING" | "INITIALIZING";

/** What the proxy shows and lets be changed; the process adds its own. */
export type ProxyView = Omit<AdminView, "commandLine" | "logLevels" | "setLogLevel" | "quit">;

export interface AdminView {
  readonly registry: Registry;
  readonly bootstrap: Bootstrap;
  readonly startedAtMs: number;
  /** The command line by Envoy's names. */
  readonly commandLine: Readonly<Record<string, unknown>>;
  state(): ServerState;
  clusters(): readonly ClusterView[];
  listeners(): readonly ListenerView[];
  /** Listeners that don't serve yet, each with what it waits for. */
  heldUp(): readonly string[];
  dump<K extends ResourceKind>(kind: K): readonly DumpEntry<K>[];
  certificates(): readonly CertificateView[];
  logLevels(): Readonly<Record<string, string>>;
  /** False when there is no such logger or level. An empty logger name sets all. */
  setLogLevel(logger: string, level: string): boolean;
  runtime(): RuntimeView;
  /** An empty value takes a key back. The refusal says why nothing was changed. */
  modifyRuntime(changes: ReadonlyMap<string, string>): string | undefined;
  failHealthcheck(failing: boolean): void;
  drainListeners(options: {
    readonly inboundOnly: boolean;
    readonly graceful: boolean;
    /** Connections drain, listeners go on to accept. */
    readonly skipExit: boolean;
  }): void;
  resetCounters(): void;
  /** What became of the requests of the last while. */
  recent(): RecentLines | Promise<RecentLines>;
  /** Brings up to date what the next answer may show. */
  refresh(): void | Promise<void>;
  quit(): void;
}
