// Envoy's spans on their way to a Jaeger agent, which Envoy itself can't speak to: Zipkin's JSON in, thrift-compact
// datagrams out.

import fs from "node:fs";
import http from "node:http";
import { Datagrams } from "../base/datagrams.ts";
import { err, ok, type Result } from "../base/result.ts";
import { encodeJaeger } from "../observe/jaeger.ts";
import type { Log } from "../observe/log.ts";
import type { Registry } from "../observe/metrics.ts";
import type { Span } from "../observe/span.ts";
import type { RawSpan } from "../traces/bounded.ts";
import { readZipkin } from "../traces/read-zipkin.ts";
import { ENVOY_MESSAGE_BYTES_MAX, JAEGER_DATAGRAM_BYTES_MAX } from "./limits.ts";

export interface AgentHost {
  readonly host: string;
  readonly port: number;
}

export interface SpanReceiverOptions {
  readonly socket: string;
  /** The pod's. */
  readonly ip: string;
  /** Where the Jaeger agents of a cluster are; empty while that isn't known. */
  hosts(cluster: string): readonly AgentHost[];
  readonly log: Log;
  readonly registry: Registry;
}

/** The control plane writes it behind the path (translate/tracing.ts). */
const CLUSTER_PARAMETER = "cluster";

export async function receiveSpans(options: SpanReceiverOptions): Promise<Result<() => void, string>> {
  const sender = new Sender(options);
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= ENVOY_MESSAGE_BYTES_MAX) chunks.push(chunk);
    });
    request.on("end", () => {
      const cluster = new URL(request.url ?? "/", "http://agent").searchParams.get(CLUSTER_PARAMETER) ?? "";
      const told = bytes <= ENVOY_MESSAGE_BYTES_MAX ? toldSpans(Buffer.concat(chunks)) : undefined;
      response.writeHead(told === undefined ? 400 : 202).end();
      if (told !== undefined) sender.send(told, cluster);
    });
  });
  const failed = await new Promise<Error | undefined>((resolve) => {
    server.once("error", resolve);
    server.listen(options.socket, () => resolve(undefined));
  });
  if (failed !== undefined) return err(`${options.socket}: ${failed.message}`);
  fs.chmodSync(options.socket, 0o600);
  return ok(() => {
    server.close();
    server.closeAllConnections();
    sender.close();
  });
}

/** One after the other, so that no burst is more than a receiver's buffer takes. */
class Sender {
  readonly #options: SpanReceiverOptions;
  readonly #sent;
  readonly #dropped;
  readonly #datagrams = new Datagrams();
  #last: Promise<void> = Promise.resolve();
  #next = 0;

  constructor(options: SpanReceiverOptions) {
    this.#options = options;
    const scope = options.registry.scope({ statPrefix: "", namePrefix: "", labels: {} });
    this.#sent = scope.counter("weft_agent_spans_sent_total");
    this.#dropped = scope.counter("weft_agent_spans_dropped_total");
  }

  send(told: ToldSpans, cluster: string): void {
    const { serviceName, spans } = told;
    this.#last = this.#last.then(async () => {
      const hosts = this.#options.hosts(cluster);
      const to = hosts[this.#next++ % Math.max(1, hosts.length)];
      if (to === undefined) {
        this.#dropped.inc(spans.length);
        this.#options.log.debug(`no Jaeger agent is known for ${cluster}: ${spans.length} spans are dropped`);
        return;
      }
      const source = { serviceName, ip: this.#options.ip, attributes: [] };
      const { packets, tooLarge } = encodeJaeger(spans, source, JAEGER_DATAGRAM_BYTES_MAX);
      for (const packet of packets) await this.#emit(packet, to);
      this.#dropped.inc(tooLarge);
      this.#sent.inc(spans.length - tooLarge);
    });
  }

  close(): void {
    void this.#last.then(() => this.#datagrams.close());
  }

  async #emit(packet: Buffer, to: AgentHost): Promise<void> {
    const error = await this.#datagrams.send(packet, to);
    if (error !== null) this.#options.log.debug(`spans to ${to.host}:${to.port}: ${error.message}`);
  }
}

interface ToldSpans {
  readonly serviceName: string;
  readonly spans: readonly Span[];
}

/** Undefined where it is no list of spans. */
function toldSpans(body: Buffer): ToldSpans | undefined {
  const told = readZipkin(body);
  return told.ok ? { serviceName: told.value[0]?.service ?? "", spans: told.value.flatMap(spanOf) } : undefined;
}

function spanOf({ traceId, spanId, parentId, tags: told, ...raw }: RawSpan): readonly Span[] {
  if (!isHex(traceId) || !isHex(spanId) || (parentId !== "" && !isHex(parentId))) return [];
  const tags = [...told];
  return [
    {
      traceId,
      spanId,
      parentId: parentId === "" ? undefined : parentId,
      kind: raw.kind === "SERVER" ? "server" : "client",
      shared: raw.shared,
      name: raw.name,
      startUs: raw.startUs,
      durationUs: raw.durationUs,
      tags: tags.flat(),
      isError: tags.some(([name, value]) => name === "error" && value === "true"),
      traceState: "",
    },
  ];
}

function isHex(text: string): boolean {
  return /^[0-9a-f]{1,32}$/.test(text);
}
