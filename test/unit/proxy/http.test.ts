// HTTP through a running proxy: routing, headers, framing, timeouts, retries, breakers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cluster, httpListener, httpOrigin, raw, routeAll, start, stat } from "./harness.ts";

test("a request reaches its origin and the answer comes back with Envoy's headers", async () => {
  const seen: string[] = [];
  const origin = await httpOrigin((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host} ${request.headers["x-forwarded-proto"]}`);
    assert.match(String(request.headers["x-request-id"]), /^[0-9a-f-]{36}$/);
    response.end("hello");
  });
  const { port, registry } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("a")] })],
    clusters: [cluster("a", [origin])],
  });
  const answer = await raw(port, "GET /x?y=1 HTTP/1.1\r\nHost: api:80\r\nConnection: close\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(answer, /\r\nserver: envoy\r\n/);
  assert.match(answer, /\r\nx-envoy-upstream-service-time: \d+\r\n/);
  assert.ok(answer.endsWith("hello"));
  assert.deepEqual(seen, ["GET /x?y=1 api:80 http"]);
  assert.equal(stat(registry, "cluster.a.upstream_rq_2xx"), 1);
  assert.equal(stat(registry, "http.test.downstream_rq_2xx"), 1);
});
