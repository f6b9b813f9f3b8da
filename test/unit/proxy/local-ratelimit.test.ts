// The local rate limit: buckets by virtual time, one bucket a connection, and what is refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VirtualClock } from "../../../src/base/clock.ts";
import { RateLimit } from "../../../src/proto/gen/envoy/config/route/v3/route_components.ts";
import { LocalRateLimit } from "../../../src/proto/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.ts";
import { RequestHead } from "../../../src/proxy/codec/head.ts";
import { HeaderList } from "../../../src/proxy/codec/headers.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileLocalRateLimit } from "../../../src/proxy/compile/local-ratelimit.ts";
import { compileRateLimits, type Described } from "../../../src/proxy/compile/rate-limit.ts";
import { TokenBucket } from "../../../src/proxy/filters/token-bucket.ts";
import { cluster, httpListener, httpOrigin, raw, routeAll, start } from "./harness.ts";

const always = { defaultValue: { numerator: 100 } };

function filter(json: Record<string, unknown>) {
  const message = LocalRateLimit.fromJSON({ statPrefix: "x", filterEnabled: always, filterEnforced: always, ...json });
  return {
    name: "envoy.filters.http.local_ratelimit",
    typeUrl: "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
    bytes: LocalRateLimit.encode(message).finish(),
  };
}

test("a bucket lets through no more than it holds and what has flowed in since", () => {
  const config = fc.record({
    tokensMax: fc.integer({ min: 1, max: 50 }),
    tokensPerFill: fc.integer({ min: 1, max: 20 }),
    fillIntervalMs: fc.integer({ min: 50, max: 5000 }),
  });
  fc.assert(
    fc.property(config, fc.array(fc.nat({ max: 400 }), { maxLength: 200 }), (bucketConfig, steps) => {
      const clock = new VirtualClock();
      const startMs = clock.monotonicMs();
      const bucket = new TokenBucket(bucketConfig, startMs);
      let taken = 0;
      for (const step of steps) {
        clock.advance(step);
        const nowMs = clock.monotonicMs();
        const waitMs = bucket.waitMs(nowMs);
        const had = bucket.remaining(nowMs);
        const allowed = bucket.consume(nowMs);
        assert.equal(allowed, had > 0);
        assert.equal(waitMs === 0, allowed);
        if (allowed) taken += 1;
        const flowed = ((nowMs - startMs) * bucketConfig.tokensPerFill) / bucketConfig.fillIntervalMs;
        assert.ok(taken <= bucketConfig.tokensMax + flowed + 1e-6);
        assert.ok(bucket.remaining(nowMs) <= bucketConfig.tokensMax);
      }
    }),
  );
});

test("a token is there again after its time, not before", () => {
  const bucket = new TokenBucket({ tokensMax: 2, tokensPerFill: 2, fillIntervalMs: 1000 }, 0);
  assert.deepEqual([bucket.consume(0), bucket.consume(0), bucket.consume(0)], [true, true, false]);
  assert.equal(bucket.consume(499), false);
  assert.equal(bucket.consume(500), true);
  assert.equal(bucket.waitMs(500), 500);
  assert.equal(bucket.remaining(100_000), 2);
});

test("with a bucket for each connection, the second request of one is limited and another connection's is not", async () => {
  const origin = await httpOrigin((_request, response) => response.end("ok"));
  const limit = filter({
    tokenBucket: { maxTokens: 1, tokensPerFill: 1, fillInterval: { seconds: 100, nanos: 0 } },
    localRateLimitPerDownstreamConnection: true,
  });
  const { port } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("origin")], filters: [limit] })],
    clusters: [cluster("origin", [origin])],
  });
  const one = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
  const last = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
  const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]);
  assert.deepEqual(statuses(await raw(port, one + last)), ["200", "429"]);
  assert.deepEqual(statuses(await raw(port, last)), ["200"]);
});

test("what can't be honoured is refused by its path", () => {
  const refusals = (json: Record<string, unknown>) => {
    const field = Field.root("main", "type.googleapis.com/test");
    compileLocalRateLimit(LocalRateLimit.fromJSON({ statPrefix: "x", ...json }), field);
    return field.refusals.map((one) => one.path);
  };
  const tokenBucket = { maxTokens: 1, fillInterval: { seconds: 1, nanos: 0 } };
  assert.deepEqual(refusals({ tokenBucket }), []);
  assert.deepEqual(refusals({ statPrefix: "" }), ["stat_prefix"]);
  assert.deepEqual(refusals({ tokenBucket: { ...tokenBucket, fillInterval: { seconds: 0, nanos: 49_000_000 } } }), [
    "token_bucket.fill_interval",
  ]);
  assert.deepEqual(refusals({ localClusterRateLimit: {} }), ["local_cluster_rate_limit"]);
  assert.deepEqual(refusals({ maxDynamicDescriptors: 5 }), ["max_dynamic_descriptors"]);
  assert.deepEqual(refusals({ rateLimitedAsResourceExhausted: true }), ["rate_limited_as_resource_exhausted"]);
  assert.deepEqual(refusals({ rateLimits: [{ actions: [{ sourceCluster: {} }] }] }), [
    "rate_limits[0].actions[0].source_cluster",
  ]);
  assert.deepEqual(refusals({ rateLimits: [{ disableKey: "k", actions: [] }] }), ["rate_limits[0].disable_key"]);
  const wildcard = { entries: [{ key: "k", value: "" }], tokenBucket };
  assert.deepEqual(refusals({ descriptors: [wildcard] }), ["descriptors[0].entries[0].value"]);
  const twice = { entries: [{ key: "k", value: "v" }], tokenBucket };
  assert.deepEqual(refusals({ descriptors: [twice, twice] }), ["descriptors[1]"]);
});

test("a descriptor is made of what each action finds, or there is none", () => {
  const described = (actions: readonly Record<string, unknown>[], more: Partial<Described> = {}) => {
    const field = Field.root("main", "type.googleapis.com/test");
    const [policy] = compileRateLimits([RateLimit.fromJSON({ actions })], field);
    assert.deepEqual(field.refusals, []);
    const line = {
      method: "GET",
      path: "/?a=1&a=2",
      authority: "h",
      scheme: "http",
      http10: false,
      absoluteForm: false,
    };
    const entries = policy?.describe({
      head: new RequestHead(line, new HeaderList(["x-a", "1", "x-a", "2"])),
      remoteIp: "2001:db8:1234:5678::9",
      routeCluster: "c",
      metadata: (namespace) => (namespace === "n" ? { k: { deep: "v" } } : undefined),
      routeMetadata: () => undefined,
      ...more,
    });
    return entries?.map(({ key, value }) => `${key}=${value}`).join(" ");
  };
  const metadata = { metadataKey: { key: "n", path: [{ key: "k" }, { key: "deep" }] }, descriptorKey: "d" };
  assert.equal(described([{ destinationCluster: {} }, { metadata }]), "destination_cluster=c d=v");
  assert.equal(described([{ metadata: { ...metadata, source: "ROUTE_ENTRY" } }]), undefined);
  assert.equal(described([{ metadata: { ...metadata, source: "ROUTE_ENTRY", defaultValue: "x" } }]), "d=x");
  assert.equal(described([{ queryParameters: { queryParameterName: "a", descriptorKey: "q" } }]), "q=1");
  assert.equal(described([{ requestHeaders: { headerName: "X-A", descriptorKey: "h" } }]), "h=1,2");
  assert.equal(described([{ requestHeaders: { headerName: "x-b", descriptorKey: "h" } }]), undefined);
  const skipped = { requestHeaders: { headerName: "x-b", descriptorKey: "h", skipIfAbsent: true } };
  assert.equal(described([skipped, { genericKey: { descriptorValue: "g" } }]), "generic_key=g");
  const mask = { maskedRemoteAddress: { v6PrefixMaskLen: 56 } };
  assert.equal(described([mask]), "masked_remote_address=2001:db8:1234:5600::/56");
  assert.equal(described([mask], { remoteIp: "10.1.2.3" }), "masked_remote_address=10.1.2.3/32");
});
