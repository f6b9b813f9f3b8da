// The exporters of a proxy: one for each backend that its listeners name, for as long as one of them does.

import { isIP } from "node:net";
import type { Clock } from "../../base/clock.ts";
import type { Registry } from "../../observe/metrics.ts";
import type { Node } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { TraceBackend, TraceProvider } from "../compile/trace-provider.ts";
import type { Cluster } from "../upstream/cluster.ts";
import { ClusterCaller } from "./call.ts";
import { SpanExporter } from "./span-exporter.ts";
import { spanTransport } from "./span-transport.ts";

export interface ExportersAround {
  readonly clock: Clock;
  readonly registry: Registry;
  /** Who this proxy says it is. */
  readonly node: Node | undefined;
  cluster(name: string): Cluster | undefined;
}

interface Shared {
  readonly exporter: SpanExporter;
  users: number;
}

/** As in Envoy's names of their counters. */
const NAMES: Readonly<Record<TraceBackend["kind"], string>> = {
  zipkin: "zipkin",
  "otlp-http": "opentelemetry",
  "otlp-grpc": "opentelemetry",
  "jaeger-agent": "jaeger",
};

export class SpanExporters {
  readonly #around: ExportersAround;
  readonly #exporters = new Map<string, Shared>();

  constructor(around: ExportersAround) {
    this.#around = around;
  }

  get nodeId(): string {
    return this.#around.node?.id ?? "";
  }

  get zone(): string {
    return this.#around.node?.locality?.zone ?? "";
  }

  /** Is given back when it is no longer needed. */
  take(provider: TraceProvider): SpanExporter {
    const key = JSON.stringify(provider);
    let shared = this.#exporters.get(key);
    if (shared === undefined) {
      shared = { exporter: this.#make(provider), users: 0 };
      this.#exporters.set(key, shared);
    }
    shared.users += 1;
    return shared.exporter;
  }

  give(provider: TraceProvider): void {
    const key = JSON.stringify(provider);
    const shared = this.#exporters.get(key);
    if (shared === undefined) return;
    shared.users -= 1;
    if (shared.users > 0) return;
    this.#exporters.delete(key);
    shared.exporter.close();
  }

  async settle(): Promise<void> {
    await Promise.all([...this.#exporters.values()].map(({ exporter }) => exporter.settle()));
  }

  close(): void {
    for (const { exporter } of this.#exporters.values()) exporter.close();
    this.#exporters.clear();
  }

  #make({ backend, serviceName }: TraceProvider): SpanExporter {
    const { node } = this.#around;
    const ip = node?.id.split("~")[1] ?? "";
    const source = {
      serviceName: serviceName || node?.cluster || "weft",
      ip: isIP(ip) === 0 ? "" : ip,
      attributes: [],
    };
    const caller = new ClusterCaller(this.#around);
    const transport = spanTransport(backend, { caller, source, cluster: (name) => this.#around.cluster(name) });
    return new SpanExporter(NAMES[backend.kind], transport, this.#around);
  }
}
