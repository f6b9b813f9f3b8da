// What the store's thread and whoever started it say to each other.

import type { DatabaseBounds } from "./database.ts";
import type { ServiceOperations, Trace, TraceQuery, TraceStats, TraceSummary } from "./trace.ts";

export interface TracePorts {
  readonly otlpGrpc: number;
  readonly otlpHttp: number;
  readonly zipkin: number;
  /** UDP. */
  readonly jaeger: number;
}

export interface ThreadStart {
  readonly directory: string;
  readonly address: string;
  /** Where they are free; 0: any. */
  readonly ports: TracePorts;
  readonly bounds: DatabaseBounds;
}

export type Question =
  | { readonly kind: "find"; readonly query: TraceQuery }
  | { readonly kind: "get"; readonly traceId: string }
  | { readonly kind: "services" }
  | { readonly kind: "stats" };

export type Answer =
  | { readonly kind: "find"; readonly traces: readonly TraceSummary[] }
  | { readonly kind: "get"; readonly trace: Trace | undefined }
  | { readonly kind: "services"; readonly services: readonly ServiceOperations[] }
  | { readonly kind: "stats"; readonly stats: TraceStats }
  | { readonly kind: "failed"; readonly message: string };

export type ToThread =
  | { readonly kind: "ask"; readonly id: number; readonly question: Question }
  | { readonly kind: "close" };

export type FromThread =
  | { readonly kind: "ready"; readonly ports: TracePorts }
  | { readonly kind: "answer"; readonly id: number; readonly answer: Answer }
  | { readonly kind: "warn"; readonly message: string }
  | { readonly kind: "closed" };
