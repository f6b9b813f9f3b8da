// What a proxy remembers of its requests: tries, causes, and failures that a flood doesn't push out.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { parseJson } from "../../../src/base/json.ts";
import { type RecentRequests, readRecentRequests } from "../../../src/observe/recent-request.ts";
import { startAdmin } from "../../../src/proxy/admin/server.ts";
import { RECENT_PER_SECOND_MAX, RECENT_REQUESTS_MAX } from "../../../src/proxy/limits.ts";
import { makeView } from "../admin/view.ts";
import { chain, cluster, httpListener, httpOrigin, listener, raw, routeAll, start, tcpFilter } from "./harness.ts";

type Proxy = Awaited<ReturnType<typeof start>>;

async function admin(proxy: Proxy): Promise<(query?: string) => Promise<RecentRequests>> {
  const view = { ...makeView(), recent: () => proxy.proxy.view.recent() };
  const started = await startAdmin({ view, wallMs: Date.now }, { host: "127.0.0.1", port: 0 });
  assert.ok(started.ok);
  after(() => started.value.close());
  return async (query = "") => {
    const response = await fetch(`http://127.0.0.1:${started.value.port}/weft/requests${query}`);
    const parsed = parseJson(await response.text());
    const read = parsed.ok ? readRecentRequests(parsed.value) : undefined;
    assert.ok(read !== undefined);
    return read;
  };
}

function get(path: string, id: string): string {
  return `GET ${path} HTTP/1.1\r\nhost: api:80\r\nx-request-id: ${id}\r\nconnection: close\r\n\r\n`;
}

test("a request is told with its tries, its route and what it took", async () => {
  let calls = 0;
  const origin = await httpOrigin((_request, response) => {
    calls += 1;
    response.writeHead(calls < 3 ? 503 : 200).end("hello");
  });
  const host = routeAll("app", { retryPolicy: { retryOn: "5xx", numRetries: 3 } });
  const proxy = await start({
    listeners: [httpListener({ virtualHosts: [host] }, { trafficDirection: "OUTBOUND" })],
    clusters: [cluster("app", [origin])],
  });
  const recent = await admin(proxy);
  await raw(proxy.port, get("/items?q=1", "one"));
  const { requests } = await recent("?id=one");
  const [request] = requests;
  assert.equal(requests.length, 1);
  assert.ok(request !== undefined);
  assert.deepEqual(
    [request.requestId, request.method, request.authority, request.path, request.code, request.tries],
    ["one", "GET", "api:80", "/items?q=1", 200, 3],
  );
  assert.equal(request.direction, "outbound");
  assert.equal(request.upstreamHost, `127.0.0.1:${origin}`);
  assert.deepEqual(
    request.failedTries.map(({ host, code }) => [host, code]),
    [
      [`127.0.0.1:${origin}`, 503],
      [`127.0.0.1:${origin}`, 503],
    ],
  );
  assert.ok(request.durationMs > 0 && request.endTimeMs >= request.startTimeMs);
  assert.equal((await recent("?id=two")).requests.length, 0);
  assert.equal((await recent(`?since=${request.endTimeMs + 1}`)).requests.length, 0);
});

test("an answer that the proxy gave has its cause; what is no HTTP is told too", async () => {
  const nowhere = await start({
    listeners: [httpListener({ virtualHosts: [] }), listener([chain(tcpFilter("gone"))], { name: "tcp" })],
    clusters: [],
  });
  const recent = await admin(nowhere);
  await raw(nowhere.port, get("/", "lost"));
  await raw(nowhere.port, "no request at all\r\n\r\n");
  await raw(nowhere.proxy.port("tcp"), "hello");
  const { requests } = await recent("?failed");
  assert.deepEqual(
    requests.map(({ protocol, code, flags, cause }) => [protocol, code, flags, cause.split(" of ")[0]]),
    [
      ["HTTP/1.1", 404, "NR", "no virtual host"],
      ["HTTP/1.1", 400, "DPE", requests[1]?.cause],
      ["TCP", 0, "NR", "cluster gone is not known to this proxy"],
    ],
  );
  assert.notEqual(requests[1]?.cause, "");
});

test("what is kept is bounded, and good requests don't push failures out", async () => {
  const origin = await httpOrigin((request, response) => response.writeHead(request.url === "/bad" ? 500 : 200).end());
  const proxy = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("app")] })],
    clusters: [cluster("app", [origin])],
  });
  const recent = await admin(proxy);
  await raw(proxy.port, get("/bad", "bad"));
  const flood = RECENT_PER_SECOND_MAX * 3;
  const one = "GET /good HTTP/1.1\r\nhost: api\r\n\r\n";
  const last = get("/good", "last");
  await raw(proxy.port, one.repeat(flood - 1) + last);
  const { requests, passedOver } = await recent("?limit=10000");
  assert.ok(requests.length <= RECENT_REQUESTS_MAX + 1);
  assert.equal(requests.length - 1 + passedOver, flood);
  assert.ok(passedOver >= RECENT_PER_SECOND_MAX, `${passedOver} were passed over`);
  assert.deepEqual(
    (await recent("?failed")).requests.map(({ requestId, code }) => [requestId, code]),
    [["bad", 500]],
  );
});
