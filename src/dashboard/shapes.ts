// What the page asks for and is told, as JSON: the one description that its server and the browser share. Types only.

export interface MeshInfo {
  readonly version: string;
  readonly clusterDomain: string;
  /** One line about where this runs. */
  readonly place: string;
  readonly mayChange: boolean;
  /** Sent back with every change. */
  readonly csrf: string;
}

/** What is seen of the mesh in the last seconds; sent again and again. */
export interface MeshPulse {
  readonly atMs: number;
  /** Grows with each configuration: views that show configuration ask anew. */
  readonly sequence: number;
  readonly windowSeconds: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  readonly proxies: ProxyCounts;
}

export interface ProxyCounts {
  readonly connected: number;
  readonly synced: number;
  readonly refusing: number;
}

export type NodeKind = "service" | "external" | "workload" | "gateway" | "outside";

/** A service, or a workload that calls without being one. */
export interface GraphNode {
  /** `namespace/name`. */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly kind: NodeKind;
  readonly endpoints: number;
  /** How many of them have a sidecar. */
  readonly sidecars: number;
  readonly errors: number;
  readonly warnings: number;
}

export type WireProtocol = "http" | "grpc" | "tcp";

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  readonly protocol: WireProtocol;
  /** Requests a second; connections of TCP. */
  readonly rate: number;
  /** 0 to 1: 5xx, and no answer at all. */
  readonly errorShare: number;
  /** 0 to 1: 4xx, such as a policy's no. */
  readonly refusedShare: number;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** `some`: not every request came over mutual TLS. */
  readonly mtls: "all" | "some" | "none" | "unknown";
  /** In the window. */
  readonly requests: number;
}

export interface NamedResource {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface ResourceCondition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  readonly since: string;
}

export interface ResourceFinding {
  readonly code: string;
  readonly name: string;
  readonly severity: "Error" | "Warning" | "Info";
  readonly path: string;
  readonly message: string;
  readonly next: string;
}

export interface ConfigurationRow extends NamedResource {
  readonly createdAt: string;
  readonly conditions: readonly ResourceCondition[];
  readonly findings: readonly ResourceFinding[];
}

export interface Configuration {
  readonly rows: readonly ConfigurationRow[];
  /** Left out because there are more than the page shows. */
  readonly leftOut: number;
}

export interface ConfigurationDetail extends ConfigurationRow {
  readonly manifest: string;
}

export interface ServiceRow {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly host: string;
  readonly kind: "service" | "external";
  readonly ports: readonly { readonly number: number; readonly protocol: string }[];
  readonly endpoints: number;
  readonly sidecars: number;
  readonly mtls: string;
  readonly errors: number;
  readonly warnings: number;
}

export interface ServiceList {
  readonly rows: readonly ServiceRow[];
  readonly leftOut: number;
}

export interface EndpointRow {
  readonly address: string;
  readonly port: number;
  readonly pod: string;
  readonly version: string;
  readonly node: string;
  readonly sidecar: boolean;
  /** Of the configuration of its proxy; empty without one. */
  readonly sync: string;
  /** Callers whose proxies have it ejected, of those that were asked. */
  readonly ejectedBy: readonly string[];
  readonly askedCallers: number;
}

export interface CertificateRow {
  readonly pod: string;
  readonly identity: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly serial: string;
  /** Why there is none. */
  readonly problem: string;
}

export interface PolicyRow {
  readonly kind: string;
  readonly name: string;
  readonly action: string;
  readonly lines: readonly string[];
}

export interface RouteRow {
  readonly rule: string;
  readonly match: readonly string[];
  readonly destinations: readonly { readonly to: string; readonly percent: number }[];
  readonly action: string;
  readonly timeout: string;
  readonly retries: string;
}

export interface ServiceDetail {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly host: string;
  readonly addresses: readonly string[];
  readonly ports: readonly { readonly number: number; readonly protocol: string; readonly why: string }[];
  readonly mtls: readonly { readonly port: number | undefined; readonly mode: string; readonly why: string }[];
  readonly versions: readonly VersionRow[];
  readonly routes: readonly RouteRow[];
  readonly endpoints: readonly EndpointRow[];
  readonly policies: readonly PolicyRow[];
  readonly certificates: readonly CertificateRow[];
  readonly resources: readonly ConfigurationRow[];
  /** The newest first. */
  readonly failures: readonly FailureRow[];
}

/** What share a version is meant to get, and what it got. */
export interface VersionRow {
  readonly version: string;
  readonly subsets: readonly string[];
  readonly endpoints: number;
  /** Percent by the routes that apply to every request; undefined where they don't say. */
  readonly wanted: number | undefined;
  readonly requests: number;
  /** Percent of the requests of the window. */
  readonly seen: number | undefined;
  readonly errorShare: number;
}

/** Requests that failed or were refused in the same way, as the proxies remember them. */
export interface FailureRow {
  /** The last of them. */
  readonly atMs: number;
  readonly count: number;
  readonly from: string;
  readonly method: string;
  readonly path: string;
  /** 0: no answer. */
  readonly code: number;
  /** Envoy's flags; empty where the application answered. */
  readonly flags: string;
  /** The resource and rule behind an answer that the proxy gave by itself, or what broke. */
  readonly cause: string;
  /** Of the last one; empty where it was not traced. */
  readonly traceId: string;
}

export interface ChartLine {
  readonly name: string;
  /** One for each instant; null where nothing was counted. */
  readonly values: readonly (number | null)[];
}

export interface Chart {
  readonly title: string;
  readonly unit: "rate" | "percent" | "milliseconds";
  readonly lines: readonly ChartLine[];
}

export interface ServiceCharts {
  readonly timesMs: readonly number[];
  readonly charts: readonly Chart[];
  /** In all of the time. */
  readonly requests: number;
  readonly failures: number;
}

export interface TraceRow {
  readonly traceId: string;
  readonly service: string;
  readonly operation: string;
  readonly startMs: number;
  readonly durationMs: number;
  readonly spans: number;
  readonly errors: number;
  readonly services: readonly string[];
}

export interface TraceList {
  readonly rows: readonly TraceRow[];
  readonly services: readonly string[];
}

export interface SpanRow {
  readonly spanId: string;
  /** How deep it is in the tree. */
  readonly depth: number;
  readonly service: string;
  readonly name: string;
  readonly kind: string;
  /** After the trace's beginning. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly isError: boolean;
  readonly tags: readonly (readonly [string, string])[];
  readonly events: readonly { readonly atMs: number; readonly name: string }[];
}

export interface TraceDetail extends TraceRow {
  readonly rows: readonly SpanRow[];
  /** Spans that are not shown. */
  readonly left: number;
}

export type RolloutAction = "promote" | "pause" | "resume" | "abort";

export interface RolloutFigures {
  readonly requests: number;
  readonly failurePercent: number;
  readonly latencyMs: number | undefined;
}

export interface RolloutRow {
  readonly namespace: string;
  readonly name: string;
  /** Subsets: what serves now, and what is to. */
  readonly stable: string;
  readonly canary: string;
  readonly phase: "Waiting" | "Progressing" | "Paused" | "RollingBack" | "Succeeded" | "Aborted";
  readonly message: string;
  /** The index of the one that it is at. */
  readonly step: number;
  readonly steps: readonly { readonly text: string; readonly intervalMs: number }[];
  /** How often the step went on because it could not be told yet. */
  readonly holds: number;
  readonly stepStartedAt: string;
  readonly figures: { readonly canary: RolloutFigures | undefined; readonly stable: RolloutFigures | undefined };
  /** The newest first. */
  readonly history: readonly { readonly at: string; readonly event: string; readonly message: string }[];
}

export interface RolloutList {
  readonly rows: readonly RolloutRow[];
}
