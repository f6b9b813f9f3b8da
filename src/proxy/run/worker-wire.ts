// What the main thread and its workers say to each other.

import type { MessagePort } from "node:worker_threads";
import type { Labels } from "../../observe/metrics.ts";
import type { RecentLines } from "../../observe/recent-request.ts";
import type { ClusterView, ListenerView } from "../admin/view.ts";
import type { DrainLife } from "../stack/drain.ts";
import type { RawUpdate } from "../subscribe/decode.ts";
import type { ResourceRefusal } from "../subscribe/source.ts";

/** What a worker begins with. */
export interface WorkerStart {
  readonly index: number;
  /** Encoded. */
  readonly bootstrap: Uint8Array;
  readonly awaitsListeners: boolean;
  readonly drain: DrainLife;
  readonly showCause: boolean;
  readonly logLevel: string;
  /** Circuit breakers' cells, and where each cluster's begin. */
  readonly cells: SharedArrayBuffer;
  readonly places: ReadonlyMap<string, number>;
  /** One cell: how many workers have taken the update that is under way. */
  readonly taken: SharedArrayBuffer;
  readonly control: MessagePort;
  /** Verdicts on updates, which the main thread reads while it waits. */
  readonly verdicts: MessagePort;
}

export type ToWorker =
  | { readonly kind: "update"; readonly update: RawUpdate; readonly places: ReadonlyMap<string, number> }
  | { readonly kind: "collect"; readonly id: number }
  | { readonly kind: "recent"; readonly id: number }
  | { readonly kind: "port"; readonly listener: string; readonly port: number }
  | { readonly kind: "eject"; readonly cluster: string; readonly address: string; readonly ms: number }
  | { readonly kind: "fail"; readonly failing: boolean }
  | { readonly kind: "drain-listeners"; readonly options: DrainOptions }
  | { readonly kind: "runtime"; readonly changes: ReadonlyMap<string, string> }
  | { readonly kind: "reset-counters" }
  | { readonly kind: "drain" };

export interface DrainOptions {
  readonly inboundOnly: boolean;
  readonly graceful: boolean;
  readonly skipExit: boolean;
}

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "bound"; readonly listener: string; readonly port: number }
  | { readonly kind: "eject"; readonly cluster: string; readonly address: string; readonly ms: number }
  | { readonly kind: "collected"; readonly id: number; readonly report: Report }
  | { readonly kind: "recent"; readonly id: number; readonly recent: RecentLines }
  | { readonly kind: "drained" };

export interface Verdict {
  readonly refusals: readonly ResourceRefusal[];
}

export interface Report {
  /** The worker's. */
  readonly index: number;
  readonly series: readonly PlainSeries[];
  readonly clusters: readonly ClusterView[];
  readonly listeners: readonly ListenerView[];
}

/** A series without its methods. */
export interface PlainSeries {
  readonly stat: string;
  readonly name: string;
  readonly labels: Labels;
  readonly metric:
    | { readonly type: "counter" | "gauge"; readonly value: number }
    | {
        readonly type: "histogram";
        readonly bounds: readonly number[];
        readonly counts: Float64Array;
        readonly sum: number;
        readonly count: number;
      };
}
