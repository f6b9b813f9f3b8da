// Spans of requests through static proxies: one tree a trace, decided once, told to each kind of backend.

import assert from "node:assert/strict";
import { test } from "node:test";
import { OpenTelemetryConfig } from "../../../src/proto/gen/envoy/config/trace/v3/opentelemetry.ts";
import { jaegerAgent, zipkinCollector } from "../../traces/collectors.ts";
import type { SeenSpan } from "../../traces/jaeger-spans.ts";
import { any, httpOrigin, stat } from "./harness.ts";
import { call, echo, forwarded, hop, jaeger } from "./traced.ts";

test("a request without a context begins a trace, and its span says what Envoy's says", async () => {
  const traces = await zipkinCollector();
  const app = await echo();
  const proxy = await hop({
    collectorPort: traces.port,
    upstreamPort: app.port,
    direction: "INBOUND",
    operation: "api.production.svc.cluster.local:8080/*",
    seed: 1,
    tracing: {
      customTags: [
        { tag: "istio.canonical_service", literal: { value: "api" } },
        { tag: "tenant", requestHeader: { name: "x-tenant", defaultValue: "none" } },
        { tag: "path", value: "%REQ(:PATH)%" },
        { tag: "absent", requestHeader: { name: "x-none" } },
      ],
    },
  });
  await call(proxy.port, { "x-tenant": "blue", "user-agent": "test", host: "api.example" }, "/api/1?x=2");
  const [span] = await traces.until(1);
  assert.ok(span !== undefined);
  assert.match(span.traceId, /^[0-9a-f]{32}$/);
  assert.equal(span.parentId, undefined);
  assert.equal(span.kind, "server");
  assert.equal(span.name, "api.production.svc.cluster.local:8080/*");
  assert.ok(Math.abs(span.startUs / 1000 - Date.now()) < 10_000);
  const { "guid:x-request-id": requestId, ...tags } = span.tags;
  assert.equal(requestId, app.seen[0]?.["x-request-id"]);
  assert.equal(requestId?.charAt(14), "9", "the id says that it is sampled");
  assert.deepEqual(tags, {
    component: "proxy",
    node_id: "",
    "http.url": "http://api.example/api/1?x=2",
    "http.method": "GET",
    downstream_cluster: "-",
    user_agent: "test",
    "http.protocol": "HTTP/1.1",
    "peer.address": "127.0.0.1",
    request_size: "0",
    upstream_cluster: "app",
    "upstream_cluster.name": "app",
    "http.status_code": "200",
    response_size: "2",
    response_flags: "-",
    "istio.canonical_service": "api",
    tenant: "blue",
    path: "/api/1?x=2",
  });
  const sent = app.seen[0] ?? {};
  assert.equal(sent["x-b3-traceid"], span.traceId);
  assert.equal(sent["x-b3-spanid"], span.id);
  assert.equal(sent["x-b3-sampled"], "1");
  assert.equal(sent["traceparent"], undefined);
  assert.equal(stat(proxy.registry, "http.test.tracing.random_sampling"), 1);
  assert.equal(stat(proxy.registry, "tracing.zipkin.spans_sent"), 1);
});

/** `GET /` through front, middle and back: each a sidecar pair, the back failing twice. */
test("three services and two retries are one tree", async () => {
  const traces = await zipkinCollector();
  const collectorPort = traces.port;
  let failures = 2;
  const back = await httpOrigin((_request, response) => {
    failures -= 1;
    response.writeHead(failures >= 0 ? 503 : 200).end();
  });
  const retries = { retryPolicy: { retryOn: "5xx", numRetries: 2, retryBackOff: { baseInterval: "0.005s" } } };
  const server = (upstreamPort: number, seed: number) =>
    hop({ collectorPort, upstreamPort, direction: "INBOUND", seed });
  const client = (upstreamPort: number, seed: number) =>
    hop({ collectorPort, upstreamPort, direction: "OUTBOUND", seed, route: retries });
  const toBack = await client((await server(back, 1)).port, 2);
  const middle = await httpOrigin((request, response) => {
    void call(toBack.port, forwarded(request.headers)).then(({ status }) => response.writeHead(status).end());
  });
  const toMiddle = await client((await server(middle, 3)).port, 4);
  const front = await httpOrigin((request, response) => {
    void call(toMiddle.port, forwarded(request.headers)).then(({ status }) => response.writeHead(status).end());
  });
  const entry = await client((await server(front, 5)).port, 6);
  assert.equal((await call(entry.port)).status, 200);
  const spans = await traces.until(8);
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1);
  assert.equal(new Set(spans.map(({ id }) => id)).size, 8);
  assert.deepEqual(tree(spans), [
    "client 200",
    "  server 200",
    "    client 200",
    "      server 200",
    "        client 200",
    "          server 503",
    "          server 503",
    "          server 200",
  ]);
  const byId = new Map(spans.map((span) => [span.id, span]));
  for (const span of spans) {
    const parent = byId.get(span.parentId ?? "");
    if (parent === undefined) continue;
    assert.ok(span.durationUs <= parent.durationUs, "a child is no longer than its parent");
  }
});

function tree(spans: readonly SeenSpan[], parentId?: string, depth = 0): readonly string[] {
  return spans
    .filter((span) => span.parentId === parentId)
    .sort((a, b) => a.startUs - b.startUs)
    .flatMap((span) => [
      `${"  ".repeat(depth)}${span.kind} ${span.tags["http.status_code"]}`,
      ...tree(spans, span.id, depth + 1),
    ]);
}

test("with a span for each try, retries are children of the request", async () => {
  const traces = await zipkinCollector();
  let failures = 2;
  const app = await httpOrigin((_request, response) => {
    failures -= 1;
    response.writeHead(failures >= 0 ? 503 : 200).end();
  });
  const proxy = await hop({
    collectorPort: traces.port,
    upstreamPort: app,
    direction: "OUTBOUND",
    seed: 1,
    tracing: { spawnUpstreamSpan: true },
    route: { retryPolicy: { retryOn: "5xx", numRetries: 2, retryBackOff: { baseInterval: "0.005s" } } },
  });
  await call(proxy.port);
  const spans = await traces.until(4);
  assert.deepEqual(tree(spans), ["server 200", "  client 503", "  client 503", "  client 200"]);
  const tries = spans.filter(({ kind }) => kind === "client");
  assert.deepEqual(tries.map(({ tags }) => tags["retry.count"]).sort(), ["1", "2", undefined]);
  assert.equal(tries[0]?.name, "router app egress");
});

test("two thousand requests: ten percent, within what chance allows, and each trace as a whole", async () => {
  const traces = await jaegerAgent();
  const app = await echo();
  const sampling = { randomSampling: { value: 10 } };
  const collectorPort = traces.port;
  const provider = jaeger();
  const server = await hop({
    provider,
    collectorPort,
    upstreamPort: app.port,
    direction: "INBOUND",
    seed: 1,
    tracing: sampling,
  });
  const client = await hop({
    provider,
    collectorPort,
    upstreamPort: server.port,
    direction: "OUTBOUND",
    seed: 2,
    tracing: sampling,
  });
  for (let sent = 0; sent < 2000; sent += 50) await Promise.all(Array.from({ length: 50 }, () => call(client.port)));
  const decided = app.seen.filter((headers) => headers["traceparent"]?.slice(-2) === "01").length;
  // 99.9 % of all such runs: 200 ± 3.29 × √(2000 × 0.1 × 0.9).
  assert.ok(decided >= 156 && decided <= 244, `${decided} of 2000`);
  const spans = await traces.until(2 * decided);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  assert.equal(spans.length, 2 * decided);
  const traceIds = new Set(spans.map(({ traceId }) => traceId));
  assert.equal(traceIds.size, decided, "client and server tell of the same traces");
  assert.equal(stat(client.registry, "tracing.jaeger.spans_sent"), decided);
  assert.ok(traces.packets.every(({ length }) => length <= 8192));
});

test("what a caller decided holds, in whichever format it says so", async () => {
  const traces = await zipkinCollector();
  const app = await echo();
  const nothing = { randomSampling: { value: 0 } };
  const proxy = await hop({
    collectorPort: traces.port,
    upstreamPort: app.port,
    direction: "INBOUND",
    seed: 1,
    tracing: nothing,
  });
  const trace = "463ac35c9f6413ad48485a3953bb6124";
  const span = "a2fb4a1d1a96d312";
  const yes: readonly Record<string, string>[] = [
    { "x-b3-traceid": trace, "x-b3-spanid": span, "x-b3-sampled": "1" },
    { b3: `${trace}-${span}-1` },
    { traceparent: `00-${trace}-${span}-01`, tracestate: "a=1,b=2", baggage: "k=v" },
    { "uber-trace-id": `${trace}:${span}:0:1` },
    { "x-cloud-trace-context": `${trace}/${BigInt(`0x${span}`)};o=1` },
  ];
  for (const headers of yes) {
    await call(proxy.port, headers);
    const seen = app.seen.at(-1) ?? {};
    const told = (await traces.until(app.seen.length)).at(-1);
    assert.equal(told?.traceId, trace);
    assert.equal(told?.parentId, span);
    assert.equal(seen["x-b3-spanid"], told?.id);
    for (const name of Object.keys(headers)) {
      if (name === "tracestate" || name === "baggage") assert.equal(seen[name], headers[name]);
      else if (name !== "x-b3-sampled" && name !== "x-b3-traceid") assert.notEqual(seen[name], headers[name], name);
    }
  }
  for (const headers of yes) {
    const no = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, name === "x-b3-sampled" ? "0" : value.replace(/1$/, "0")]),
    );
    await call(proxy.port, no);
    assert.equal(app.seen.at(-1)?.["x-b3-sampled"], "0");
  }
  await proxy.proxy.drain();
  assert.equal(traces.spans.length, yes.length);
});

test("the request's id decides again where an application gave on nothing else", async () => {
  const traces = await zipkinCollector();
  const app = await echo();
  const proxy = await hop({
    collectorPort: traces.port,
    upstreamPort: app.port,
    direction: "OUTBOUND",
    seed: 1,
    tracing: { randomSampling: { value: 50 } },
  });
  // 0x1000 and 0x2000 modulo 10,000: 4096 is below a half, 8192 is not.
  await call(proxy.port, { "x-request-id": "00001000-0000-4000-8000-000000000000" });
  await call(proxy.port, { "x-request-id": "00002000-0000-4000-8000-000000000000" });
  await call(proxy.port, { "x-request-id": "00002000-0000-a000-8000-000000000000" });
  await call(proxy.port, { "x-request-id": "no id" });
  assert.deepEqual(
    app.seen.map((headers) => [headers["x-request-id"], headers["x-b3-sampled"]]),
    [
      ["00001000-0000-9000-8000-000000000000", "1"],
      ["00002000-0000-4000-8000-000000000000", "0"],
      ["00002000-0000-a000-8000-000000000000", "1"],
      ["no id", "0"],
    ],
  );
});

test("a backend that is not there costs its spans and nothing else", async () => {
  const app = await echo();
  const proxy = await hop({ collectorPort: 1, upstreamPort: app.port, direction: "INBOUND", seed: 1 });
  assert.equal((await call(proxy.port)).status, 200);
  await proxy.proxy.drain();
  assert.equal(stat(proxy.registry, "tracing.zipkin.spans_dropped"), 1);
  assert.equal(stat(proxy.registry, "tracing.zipkin.reports_dropped"), 1);
});

test("what the proxy can't do of tracing is refused by its path", async () => {
  const config = OpenTelemetryConfig.fromJSON({ resourceDetectors: [{ name: "x" }] });
  const provider = any("envoy.config.trace.v3.OpenTelemetryConfig", OpenTelemetryConfig.encode(config).finish());
  const started = hop({ provider, collectorPort: 1, upstreamPort: 1, direction: "INBOUND", seed: 1 });
  await assert.rejects(started, /tracing\.provider\.typed_config\.resource_detectors/);
});
