// The trace store as a whole: every protocol in, one form out; bounded, and alive when its disk is full.

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Client, credentials } from "@grpc/grpc-js";
import { encodeJaeger } from "../../../src/observe/jaeger.ts";
import { encodeOtlp } from "../../../src/observe/otlp.ts";
import type { Span } from "../../../src/observe/span.ts";
import { encodeZipkin } from "../../../src/observe/zipkin.ts";
import { type DatabaseBounds, DEFAULT_BOUNDS } from "../../../src/traces/database.ts";
import { startTraceStore, type TraceStore } from "../../../src/traces/store.ts";

const START_US = Date.now() * 1000;
const SOURCE = { serviceName: "api.shop", ip: "10.0.0.7", attributes: [] };
const ANY = { otlpGrpc: 0, otlpHttp: 0, zipkin: 0, jaeger: 0 };
const EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

function span(traceId: string, more: Partial<Span> = {}): Span {
  return {
    traceId: traceId.padStart(32, "a"),
    spanId: "00f067aa0ba902b7",
    parentId: undefined,
    kind: "server",
    shared: false,
    name: "GET /items",
    startUs: START_US,
    durationUs: 1500,
    tags: ["http.status_code", "200"],
    isError: false,
    traceState: "",
    ...more,
  };
}

async function store(bounds: Partial<DatabaseBounds> = {}, directory = folder()): Promise<Running> {
  const warnings: string[] = [];
  const started = await startTraceStore({
    directory,
    address: "127.0.0.1",
    ports: ANY,
    warn: (message) => warnings.push(message),
    bounds: { ...DEFAULT_BOUNDS, ...bounds },
  });
  assert.ok(started.ok, started.ok ? "" : started.error);
  after(() => started.value.close());
  return { store: started.value, warnings, directory };
}

interface Running {
  readonly store: TraceStore;
  readonly warnings: readonly string[];
  readonly directory: string;
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "weft-traces-"));
  after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function post(port: number, path: string, about: { type: string; body: Buffer | string; encoding?: string }) {
  const headers = { "content-type": about.type, ...(about.encoding ? { "content-encoding": about.encoding } : {}) };
  const body = typeof about.body === "string" ? about.body : new Uint8Array(about.body);
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", headers, body });
  return { status: response.status, text: await response.text() };
}

function overGrpc(port: number, message: Buffer, path = EXPORT): Promise<number> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, same, same, message, (error) => {
      client.close();
      resolve(error?.code ?? 0);
    });
  });
}

async function datagrams(port: number, packets: readonly Buffer[]): Promise<void> {
  const socket = createSocket("udp4");
  for (const packet of packets) await new Promise((resolve) => socket.send(packet, port, "127.0.0.1", resolve));
  socket.close();
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const over = Date.now() + 10_000; !(await holds()); ) {
    assert.ok(Date.now() < over, "not within ten seconds");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("spans of all protocols are kept alike", async () => {
  const { store: traces } = await store();
  const { ports } = traces;
  const failed = { isError: true, tags: ["http.status_code", "503", "jaeger-traceid", "7"] };
  assert.equal(await overGrpc(ports.otlpGrpc, encodeOtlp([span("1", failed)], SOURCE)), 0);
  const otlp = await post(ports.otlpHttp, "/v1/traces", {
    type: "application/x-protobuf",
    body: gzipSync(encodeOtlp([span("2", failed)], SOURCE)),
    encoding: "gzip",
  });
  assert.deepEqual(otlp, { status: 200, text: "" });
  const zipkinSpan = encodeZipkin([span("3", { ...failed, tags: [...failed.tags, "error", "true"] })], SOURCE);
  assert.equal((await post(ports.zipkin, "/api/v2/spans", { type: "application/json", body: zipkinSpan })).status, 202);
  await datagrams(ports.jaeger, encodeJaeger([span("4", failed)], SOURCE, 8192).packets);
  const json = {
    resourceSpans: [
      {
        resource: { attributes: [{ key: "service.name", value: { stringValue: "api.shop" } }] },
        scopeSpans: [
          {
            spans: [
              {
                traceId: "5".padStart(32, "a"),
                spanId: "00f067aa0ba902b7",
                name: "GET /items",
                kind: "SPAN_KIND_SERVER",
                startTimeUnixNano: `${START_US}000`,
                endTimeUnixNano: `${START_US + 1500}000`,
                attributes: [
                  { key: "http.status_code", value: { intValue: "503" } },
                  { key: "jaeger-traceid", value: { stringValue: "7" } },
                ],
                status: { code: 2 },
              },
            ],
          },
        ],
      },
    ],
  };
  const body = JSON.stringify(json);
  assert.deepEqual(await post(ports.otlpHttp, "/v1/traces", { type: "application/json", body }), {
    status: 200,
    text: "{}",
  });
  await until(async () => (await traces.stats()).spans === 5);
  for (const digit of ["1", "2", "3", "4", "5"]) {
    const trace = await traces.get(digit.padStart(32, "a"));
    const found = trace?.root.span;
    assert.ok(found !== undefined, `trace ${digit}`);
    const { tags, ...seen } = found;
    assert.deepEqual(seen, {
      traceId: digit.padStart(32, "a"),
      spanId: "00f067aa0ba902b7",
      parentId: undefined,
      kind: "server",
      shared: false,
      service: "api.shop",
      name: "GET /items",
      startUs: START_US,
      durationUs: 1500,
      isError: true,
      events: [],
    });
    assert.equal(tags["http.status_code"], "503");
    assert.equal(tags["jaeger-traceid"], "7");
  }
  const { received } = await traces.stats();
  assert.deepEqual(received, { "otlp-grpc": 1, "otlp-http": 2, zipkin: 1, jaeger: 1 });
});

test("what is no report is answered so, and costs nothing", async () => {
  const { store: traces } = await store();
  const { ports } = traces;
  const bad = Buffer.from([0x0a, 0xff, 0xff]);
  const type = "application/x-protobuf";
  assert.equal((await post(ports.otlpHttp, "/v1/traces", { type, body: bad })).status, 400);
  assert.equal((await post(ports.otlpHttp, "/v1/traces", { type: "text/plain", body: "x" })).status, 415);
  assert.equal((await post(ports.otlpHttp, "/v1/logs", { type, body: bad })).status, 404);
  assert.equal((await post(ports.zipkin, "/api/v2/spans", { type: "application/json", body: "{}" })).status, 400);
  const bomb = gzipSync(Buffer.alloc(32 * 1024 * 1024));
  assert.equal((await post(ports.otlpHttp, "/v1/traces", { type, body: bomb, encoding: "gzip" })).status, 400);
  const large = await post(ports.otlpHttp, "/v1/traces", { type, body: Buffer.alloc(5 * 1024 * 1024) }).catch(
    () => undefined,
  );
  assert.ok(large === undefined || large.status === 413);
  assert.equal(await overGrpc(ports.otlpGrpc, bad), 3);
  assert.equal(await overGrpc(ports.otlpGrpc, bad, "/opentelemetry.proto.collector.logs.v1.LogsService/Export"), 12);
  await datagrams(ports.jaeger, [Buffer.from("hello"), Buffer.from([0x82, 0x81, 0xff])]);
  await until(async () => (await traces.stats()).malformed === 7);
  assert.equal(await overGrpc(ports.otlpGrpc, encodeOtlp([span("1"), span("0".repeat(32))], SOURCE)), 0);
  const { spans, dropped } = await traces.stats();
  assert.deepEqual([spans, dropped], [1, { queue: 0, disk: 0, id: 1 }]);
});

test("traces are found by service, operation, duration, failure and time, the newest first", async () => {
  const { store: traces } = await store();
  const of = (serviceName: string) => ({ ...SOURCE, serviceName });
  const reports = [
    encodeOtlp([span("1"), span("2", { startUs: START_US + 1e6, durationUs: 300_000 })], of("api.shop")),
    encodeOtlp([span("3", { startUs: START_US + 2e6, isError: true })], of("api.other")),
    encodeOtlp([span("4", { startUs: START_US + 3e6, name: "POST /" })], of("apis")),
  ];
  for (const report of reports) await overGrpc(traces.ports.otlpGrpc, report);
  const ids = async (query: Parameters<TraceStore["find"]>[0]) =>
    (await traces.find(query)).map(({ traceId }) => traceId.at(-1)).join("");
  assert.equal(await ids({}), "4321");
  assert.equal(await ids({ service: "api" }), "321");
  assert.equal(await ids({ service: "api.shop" }), "21");
  assert.equal(await ids({ service: "api", minDurationMs: 200 }), "2");
  assert.equal(await ids({ service: "api", error: true }), "3");
  assert.equal(await ids({ operation: "POST /" }), "4");
  assert.equal(await ids({ since: START_US / 1000 + 1500 }), "43");
  assert.equal(await ids({ limit: 2 }), "43");
  assert.deepEqual(await traces.services(), [
    { service: "api.other", operations: ["GET /items"] },
    { service: "api.shop", operations: ["GET /items"] },
    { service: "apis", operations: ["POST /"] },
  ]);
  assert.equal(await traces.get("b".repeat(32)), undefined);
  assert.equal(await traces.get("no id"), undefined);
});

function report(first: number, count: number): Buffer {
  const spans = Array.from({ length: count }, (_none, i) => span((first + i).toString(16).padStart(8, "0")));
  return encodeOtlp(spans, SOURCE);
}

test("under a flood the newest spans are there, the oldest went, and each is accounted for", async () => {
  const { store: traces, directory } = await store({ spans: 5_000, fileBytes: 16 * 1024 * 1024 });
  let sent = 0;
  let taken = 0;
  for (let round = 0; round < 12; round += 1) {
    const reports = Array.from({ length: 10 }, (_none, i) => report(sent + i * 500, 500));
    sent += 5_000;
    const codes = await Promise.all(reports.map((each) => overGrpc(traces.ports.otlpGrpc, each)));
    taken += codes.filter((code) => code === 0).length * 500;
  }
  const { spans, received, dropped, removed } = await traces.stats();
  assert.ok(spans <= 5_000 && spans >= 4_000, `${spans} spans`);
  assert.equal(received["otlp-grpc"], sent);
  assert.equal(spans + removed + Number(dropped["queue"]), sent);
  assert.ok(taken <= sent);
  assert.ok(statSync(join(directory, "spans.db")).size <= 16 * 1024 * 1024);
});

test("a full disk is said once; what is there can be read, and later spans are kept again", async () => {
  const { store: traces, warnings } = await store({ fileBytes: 400 * 1024, retryMs: 300 });
  let sent = 0;
  while (warnings.length === 0) {
    assert.ok(sent < 20_000);
    await overGrpc(traces.ports.otlpGrpc, report(sent, 200));
    sent += 200;
    await traces.stats();
  }
  const { spans, dropped, problem } = await traces.stats();
  assert.match(warnings[0] ?? "", /can't write, so that spans are dropped: database or disk is full/);
  assert.match(problem, /full/);
  assert.ok(Number(dropped["disk"]) > 0 && spans > 0);
  assert.equal((await traces.find({ limit: 5 })).length, 5);
  await overGrpc(traces.ports.otlpGrpc, report(sent, 1));
  assert.equal(warnings.length, 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await overGrpc(traces.ports.otlpGrpc, encodeOtlp([span("abc")], SOURCE));
  assert.notEqual(await traces.get("abc".padStart(32, "a")), undefined);
  assert.deepEqual([(await traces.stats()).problem, warnings.at(-1)], ["", "the trace store writes again"]);
});

test("spans outlive the store; a file that is no database is begun anew", async () => {
  const first = await store();
  await overGrpc(first.store.ports.otlpGrpc, encodeOtlp([span("1")], SOURCE));
  await first.store.close();
  const second = await store({}, first.directory);
  assert.equal((await second.store.find({})).length, 1);
  await second.store.close();
  for (const end of ["-wal", "-shm"]) rmSync(join(first.directory, `spans.db${end}`), { force: true });
  writeFileSync(join(first.directory, "spans.db"), "no database at all, and long enough to be read as one".repeat(100));
  const third = await store({}, first.directory);
  assert.equal((await third.store.find({})).length, 0);
});
