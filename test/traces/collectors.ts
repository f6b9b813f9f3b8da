// Backends for tests: a Zipkin collector, an OTLP collector over HTTP, a Jaeger agent. Each gives spans in one form.

import { createSocket } from "node:dgram";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";
import { isRecord, parseJson } from "../../src/base/json.ts";
import { jaegerSpans, type SeenSpan } from "./jaeger-spans.ts";

export interface Collector {
  readonly port: number;
  readonly spans: SeenSpan[];
  /** Resolves when so many are there; fails after ten seconds. */
  until(count: number): Promise<readonly SeenSpan[]>;
}

function collector(port: number, spans: SeenSpan[]): Collector {
  return {
    port,
    spans,
    async until(count) {
      const over = Date.now() + 10_000;
      while (spans.length < count) {
        if (Date.now() > over) throw new Error(`${spans.length} spans instead of ${count}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return spans;
    },
  };
}

export async function zipkinCollector(): Promise<Collector> {
  const spans: SeenSpan[] = [];
  const port = await httpCollector("/api/v2/spans", (body) => {
    const parsed = parseJson(body.toString());
    if (!parsed.ok || !Array.isArray(parsed.value)) throw new Error("not a list of spans");
    spans.push(...parsed.value.filter(isRecord).map(zipkinSpan));
  });
  return collector(port, spans);
}

function zipkinSpan(span: Readonly<Record<string, unknown>>): SeenSpan {
  const endpoint = isRecord(span["localEndpoint"]) ? span["localEndpoint"] : {};
  const tags = isRecord(span["tags"]) ? span["tags"] : {};
  return {
    service: String(endpoint["serviceName"]),
    traceId: String(span["traceId"]),
    id: String(span["id"]),
    parentId: span["parentId"] === undefined ? undefined : String(span["parentId"]),
    kind: String(span["kind"]).toLowerCase(),
    name: String(span["name"]),
    startUs: Number(span["timestamp"]),
    durationUs: Number(span["duration"]),
    tags: Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, String(value)])),
  };
}

export async function httpCollector(path: string, take: (body: Buffer) => void): Promise<number> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const known = request.url === path && request.method === "POST";
      if (known) take(Buffer.concat(chunks));
      response.writeHead(known ? 202 : 404).end();
    });
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return portOf(server.address());
}

export function portOf(address: AddressInfo | string | null): number {
  return typeof address === "object" && address !== null ? address.port : 0;
}

export async function jaegerAgent(): Promise<Collector & { readonly packets: readonly Buffer[] }> {
  const spans: SeenSpan[] = [];
  const packets: Buffer[] = [];
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
  socket.on("message", (bytes) => {
    packets.push(bytes);
    spans.push(...jaegerSpans(bytes));
  });
  after(() => socket.close());
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { ...collector(socket.address().port, spans), packets };
}
