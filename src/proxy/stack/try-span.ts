// The span of one try, where the configuration asks for a span for each: a child of the request's.

import { newSpanId, type Outgoing } from "../../observe/trace-context.ts";
import type { Host } from "../upstream/host.ts";
import type { Forward } from "./forward.ts";
import type { HttpStream } from "./http-stream.ts";
import { isError } from "./span-tags.ts";
import type { ActiveSpan } from "./tracer.ts";

export class TrySpan {
  readonly id: Outgoing;
  readonly #parent: ActiveSpan;
  readonly #stream: HttpStream;
  readonly #cluster: string;
  readonly #host: Host | undefined;
  readonly #number: number;
  readonly #startMs: number;

  constructor(parent: ActiveSpan, stream: HttpStream, forward: Forward) {
    const { traceId, spanId } = parent.id;
    this.id = { traceId, spanId: newSpanId(() => stream.random()), parentId: spanId, sampled: true };
    this.#parent = parent;
    this.#stream = stream;
    this.#cluster = forward.clusterName;
    this.#host = forward.host;
    this.#number = forward.attempts;
    this.#startMs = stream.nowMs();
  }

  /** `status` is 0 where no answer came. */
  end(status: number, flags: string): void {
    const { exporter, tracer } = this.#parent;
    const host = this.#host?.endpoint;
    exporter.add({
      traceId: this.id.traceId,
      spanId: this.id.spanId,
      parentId: this.id.parentId,
      kind: "client",
      shared: false,
      name: this.#name(),
      startUs: exporter.wallUs(this.#startMs),
      durationUs: (this.#stream.nowMs() - this.#startMs) * 1000,
      tags: [
        ...["component", "proxy", "node_id", tracer.about.nodeId, "http.protocol", "HTTP/1.1"],
        ...["upstream_cluster", this.#cluster, "upstream_cluster.name", this.#cluster],
        ...["upstream_address", this.#host?.address ?? "-", "peer.address", host?.host ?? "-"],
        ...["http.status_code", String(status), "response_flags", flags || "-"],
        ...(this.#number > 1 ? ["retry.count", String(this.#number - 1)] : []),
        ...(isError(status) ? ["error", "true"] : []),
      ],
      isError: isError(status),
      traceState: this.#parent.id.traceState,
    });
  }

  #name(): string {
    const format = this.#stream.route?.tracing?.upstreamOperation ?? this.#parent.tracer.config.upstreamOperation;
    return format?.(this.#stream.record()) || `router ${this.#cluster} egress`;
  }
}
