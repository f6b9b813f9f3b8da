// Expressions on a record: what they say, what an error does within them, and what is refused before it is used.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessRecord } from "../../../src/observe/access-record.ts";
import { RECORD_ATTRIBUTES } from "../../../src/observe/attributes.ts";
import { compileCel } from "../../../src/observe/cel.ts";

const RECORD: AccessRecord = {
  startTimeMs: 0,
  durationMs: 250,
  requestHeaders: new Map([
    [":method", "GET"],
    [":path", "/api/v1/items?x=1"],
    [":authority", "api"],
    ["x-tenant", "blue"],
  ]),
  responseHeaders: new Map([["content-type", "text/plain"]]),
  protocol: "HTTP/1.1",
  responseCode: 503,
  responseFlags: "UH",
  responseCodeDetails: "no_healthy_upstream",
  connectionTerminationDetails: undefined,
  upstreamTransportFailureReason: undefined,
  bytesReceived: 10,
  bytesSent: 20,
  upstreamHost: undefined,
  upstreamCluster: "outbound|80||api",
  upstreamLocalAddress: undefined,
  downstreamLocalAddress: "10.0.0.2:80",
  downstreamRemoteAddress: "10.0.0.1:4321",
  requestedServerName: undefined,
  routeName: "default",
};

function evaluate(text: string): unknown {
  const compiled = compileCel(text, RECORD_ATTRIBUTES);
  assert.ok(compiled.ok, compiled.ok ? "" : `${text}: ${compiled.error}`);
  return compiled.value(RECORD);
}

test("conditions", () => {
  const yes = [
    "response.code >= 400",
    "response.code == 503 && request.method == 'GET'",
    "response.code < 500 || connection.mtls == false",
    "!(response.code == 200)",
    'request.headers["x-tenant"] == "blue"',
    "request.headers['X-Tenant'].startsWith('bl')",
    "'x-tenant' in request.headers && !('x-other' in request.headers)",
    "request.url_path.startsWith('/api/v1beta') || request.url_path.contains('/v1/')",
    "request.path.matches('^/api/v[0-9]+/') && request.url_path == '/api/v1/items'",
    "request.method in ['GET', 'HEAD']",
    "has(request.headers.host) || has(request.useragent) || has(response.code_details)",
    "request.duration > duration('200ms') && request.duration < duration('1.5s')",
    "source.port == 4321 && destination.address == '10.0.0.2:80'",
    "response.code / 100 == 5 && response.size + request.size == 30 && -1 < 0",
    "response.code == 200 ? false : true",
    "int('12') % 5 == 2 && string(response.code) == '503' && size('abc') == 3",
    "xds.cluster_name.endsWith('api') && 2 + 3 * 4 == 14 && (2 + 3) * 4 == 20",
  ];
  for (const text of yes) assert.equal(evaluate(text), true, text);
});

test("an error is taken up where the other side decides, and is no answer otherwise", () => {
  assert.equal(evaluate("request.headers['none'] == 'x'"), undefined);
  assert.equal(evaluate("request.headers['none'] == 'x' || response.code == 503"), true);
  assert.equal(evaluate("response.code == 200 && request.headers['none'] == 'x'"), false);
  assert.equal(evaluate("request.headers['none'] == 'x' && response.code == 200"), false);
  assert.equal(evaluate("request.headers['none'] == 'x' && response.code == 503"), undefined);
  assert.equal(evaluate("1 / 0 == 1"), undefined);
  assert.equal(evaluate("'a' < 1"), undefined);
});

test("what is not known is refused, with its place or its name", () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["response.code >=", /character 17: a value is expected/],
    ["response.code == 200)", /character 21: the end, or an operator/],
    ["response.kode == 200", /response\.kode is not an attribute.*code/],
    ["code == 200", /code is not an attribute/],
    ["request.path.reverse()", /the function reverse is not known/],
    ["request.path.matches('(')", /RE2/],
    ["request.path.matches(request.method)", /written out/],
    ["response.code # 2", /character 14/],
    [`${"(".repeat(100)}1${")".repeat(100)}`, /nesting/],
    ["", /a value is expected/],
  ];
  for (const [text, message] of wrong) {
    const compiled = compileCel(text, RECORD_ATTRIBUTES);
    assert.ok(!compiled.ok, text);
    assert.match(compiled.error, message);
  }
});
