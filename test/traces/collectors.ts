// Backends for tests: a Zipkin collector, an OTLP collector over HTTP, a Jaeger agent. Each gives spans in one form.

import { createSocket } from "node:dgram";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";
import { isRecord, parseJson } from "../../src/base/json.ts";
import { readMessage, type ThriftStruct, type ThriftValue } from "./thrift-reader.ts";

export interface SeenSpan {
  readonly service: string;
  readonly traceId: string;
  readonly id: string;
  readonly parentId: string | undefined;
  readonly kind: string;
  readonly name: string;
  readonly startUs: number;
  readonly durationUs: number;
  readonly tags: Readonly<Record<string, string>>;
}

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

export function jaegerSpans(bytes: Buffer): readonly SeenSpan[] {
  const { name, body } = readMessage(bytes);
  if (name !== "emitBatch") throw new Error(`method ${name}`);
  const batch = struct(body.get(1));
  const service = String(struct(batch.get(1)).get(1));
  return list(batch.get(2)).map((one) => jaegerSpan(service, struct(one)));
}

function jaegerSpan(service: string, span: ThriftStruct): SeenSpan {
  const tags = Object.fromEntries(
    list(span.get(10)).map((one): [string, string] => {
      const tag = struct(one);
      return [String(tag.get(1)), String(tag.get(3) ?? tag.get(5) ?? tag.get(6))];
    }),
  );
  const parent = hex(span.get(4));
  return {
    service,
    traceId: hex(span.get(2)) + hex(span.get(1)),
    id: hex(span.get(3)),
    parentId: parent === "0000000000000000" ? undefined : parent,
    kind: tags["span.kind"] ?? "",
    name: String(span.get(5)),
    startUs: Number(span.get(8)),
    durationUs: Number(span.get(9)),
    tags,
  };
}

function hex(value: ThriftValue | undefined): string {
  return BigInt.asUintN(64, typeof value === "bigint" ? value : 0n)
    .toString(16)
    .padStart(16, "0");
}

function struct(value: ThriftValue | undefined): ThriftStruct {
  if (!(value instanceof Map)) throw new Error("a struct was expected");
  return value;
}

function list(value: ThriftValue | undefined): readonly ThriftValue[] {
  if (!Array.isArray(value)) throw new Error("a list was expected");
  return value;
}
