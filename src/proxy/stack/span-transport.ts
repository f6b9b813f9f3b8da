// The ways spans go: a POST to a collector, a gRPC call, a datagram to an agent.

import { Datagrams } from "../../base/datagrams.ts";
import { encodeJaeger } from "../../observe/jaeger.ts";
import { encodeOtlp } from "../../observe/otlp.ts";
import type { Span, SpanSource } from "../../observe/span.ts";
import { encodeZipkin } from "../../observe/zipkin.ts";
import { HeaderList } from "../codec/headers.ts";
import type { GrpcCollector, HttpCollector, TraceBackend } from "../compile/trace-provider.ts";
import type { Caller } from "../filters/caller.ts";
import { AGENT_DATAGRAM_BYTES_MAX, REPORT_ANSWER_BYTES_MAX } from "../limits.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Reported, Transport } from "./batches.ts";

export interface TransportAround {
  readonly caller: Caller;
  readonly source: SpanSource;
  cluster(name: string): Cluster | undefined;
}

export function spanTransport(backend: TraceBackend, around: TransportAround): Transport<Span> {
  switch (backend.kind) {
    case "zipkin":
      return new HttpTransport(backend.collector, "application/json", encodeZipkin, around);
    case "otlp-http":
      return new HttpTransport(backend.collector, "application/x-protobuf", encodeOtlp, around);
    case "otlp-grpc":
      return new GrpcTransport(backend.collector, around);
    case "jaeger-agent":
      return new AgentTransport(backend.cluster, around);
  }
}

type Encode = (spans: readonly Span[], source: SpanSource) => Buffer;

class HttpTransport implements Transport<Span> {
  readonly #collector: HttpCollector;
  readonly #contentType: string;
  readonly #encode: Encode;
  readonly #around: TransportAround;

  constructor(collector: HttpCollector, contentType: string, encode: Encode, around: TransportAround) {
    this.#collector = collector;
    this.#contentType = contentType;
    this.#encode = encode;
    this.#around = around;
  }

  send(spans: readonly Span[], done: (result: Reported) => void): void {
    const { cluster, path, authority, headers, timeoutMs } = this.#collector;
    if (this.#around.cluster(cluster) === undefined) {
      done({ kind: "nowhere" });
      return;
    }
    const request = {
      cluster,
      method: "POST",
      path,
      authority,
      headers: new HeaderList(["content-type", this.#contentType, ...headers]),
      body: this.#encode(spans, this.#around.source),
      timeoutMs,
      responseBytesMax: REPORT_ANSWER_BYTES_MAX,
    };
    this.#around.caller.call(request, (result) => {
      const taken = result.kind === "answer" && result.status < 300;
      done(taken ? { kind: "sent", items: spans.length } : { kind: "failed" });
    });
  }

  close(): void {
    // What is under way ends by itself.
  }
}

const OTLP_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

class GrpcTransport implements Transport<Span> {
  readonly #collector: GrpcCollector;
  readonly #around: TransportAround;

  constructor(collector: GrpcCollector, around: TransportAround) {
    this.#collector = collector;
    this.#around = around;
  }

  send(spans: readonly Span[], done: (result: Reported) => void): void {
    if (this.#around.cluster(this.#collector.cluster) === undefined) {
      done({ kind: "nowhere" });
      return;
    }
    const message = encodeOtlp(spans, this.#around.source);
    const request = { ...this.#collector, path: OTLP_EXPORT, message, responseBytesMax: REPORT_ANSWER_BYTES_MAX };
    this.#around.caller.grpc(request, (result) =>
      done(result.kind === "answer" ? { kind: "sent", items: spans.length } : { kind: "failed" }),
    );
  }

  close(): void {
    // The same.
  }
}

class AgentTransport implements Transport<Span> {
  readonly #clusterName: string;
  readonly #around: TransportAround;
  readonly #datagrams = new Datagrams();
  #underWay = 0;
  #closed = false;

  constructor(clusterName: string, around: TransportAround) {
    this.#clusterName = clusterName;
    this.#around = around;
  }

  send(spans: readonly Span[], done: (result: Reported) => void): void {
    const cluster = this.#around.cluster(this.#clusterName);
    const host = cluster?.pick({ hash: undefined, avoid: [], attemptsMax: 1 }, undefined);
    if (host === undefined) {
      done({ kind: "nowhere" });
      return;
    }
    const { packets, tooLarge } = encodeJaeger(spans, this.#around.source, AGENT_DATAGRAM_BYTES_MAX);
    this.#underWay += 1;
    void this.#sendAll(packets, host.endpoint).then((isWhole) => {
      this.#underWay -= 1;
      done(isWhole ? { kind: "sent", items: spans.length - tooLarge } : { kind: "failed" });
      this.#closeWhenDone();
    });
  }

  close(): void {
    this.#closed = true;
    this.#closeWhenDone();
  }

  #closeWhenDone(): void {
    if (!this.#closed || this.#underWay > 0) return;
    this.#datagrams.close();
  }

  /** One after the other: a burst would be more than a receiver's buffer takes. */
  async #sendAll(packets: readonly Buffer[], to: { readonly host: string; readonly port: number }): Promise<boolean> {
    let isWhole = true;
    for (const packet of packets) {
      const error = await this.#datagrams.send(packet, to);
      isWhole &&= error === null;
    }
    return isWhole;
  }
}
