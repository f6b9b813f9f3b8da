// Locality load balancing by what it does: from manifests to the balancer of weft's own proxy.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { proxyOf } from "./mesh.ts";
import { upstreamOf } from "./upstream.ts";

const WEB = "outbound|80||web.production.svc.cluster.local";

function golden(name: string): string {
  const text = fs.readFileSync(path.join(import.meta.dirname, `../../golden/translate/${name}/in.yaml`), "utf8");
  return text.slice(text.indexOf("\n---") + 4);
}

test("failover: the nearest endpoints serve; where they fail the next do, then the region that takes over, then the rest", () => {
  const percent = "maxEjectionPercent: 100, consecutive5xxErrors: 1";
  const manifests = golden("locality-failover").replace("consecutive5xxErrors: 5", percent);
  const { cluster, picks } = upstreamOf(manifests, WEB);
  const fail = (number: number) =>
    cluster.hosts.find((one) => one.address === `10.244.1.${number}:80`)?.onResponse(500);
  for (const number of [1, 2, 3]) {
    assert.deepEqual(picks(100), { [`10.244.1.${number}:80`]: 100 });
    fail(number);
  }
  const { "10.244.1.4:80": first = 0, "10.244.1.5:80": second = 0, ...others } = picks(200);
  assert.equal(first + second, 200);
  assert.ok(first > 60 && second > 60);
  assert.deepEqual(others, {});
  fail(4);
  fail(5);
  assert.deepEqual(picks(50), { "10.244.1.6:80": 50 });
  cluster.close();
});

test("distribute: each place has its share, and a client of another place follows another line", () => {
  const manifests = golden("locality-distribute");
  const near = upstreamOf(manifests, WEB);
  const counts = near.picks(4_000);
  const share = (...numbers: readonly number[]) =>
    numbers.reduce((sum, number) => sum + (counts[`10.244.1.${number}:80`] ?? 0), 0) / 4_000;
  assert.ok(Math.abs(share(1, 2) - 0.7) < 0.03, `eu-a ${share(1, 2)}`);
  assert.ok(Math.abs(share(3) - 0.2) < 0.03, `eu-b ${share(3)}`);
  assert.ok(Math.abs(share(4, 5) - 0.1) < 0.03, `us-a ${share(4, 5)}`);
  assert.equal(share(6), 0);
  near.cluster.close();
  const far = upstreamOf(manifests, WEB, proxyOf({ pod: "elsewhere", locality: "us/us-a" }));
  assert.deepEqual(Object.keys(far.picks(200)).sort(), ["10.244.1.4:80", "10.244.1.5:80"]);
  far.cluster.close();
});

test("failoverPriority: labels in their order, with values of one's own", () => {
  const { cluster, picks } = upstreamOf(golden("locality-priority"), WEB);
  assert.deepEqual(Object.keys(picks(200)).sort(), ["10.244.1.1:80", "10.244.1.3:80"]);
  cluster.close();
});

test("trafficDistribution prefers what is near without outlier detection", () => {
  const zone = upstreamOf(golden("traffic-distribution-zone"), WEB);
  assert.deepEqual(zone.picks(50), { "10.244.1.1:80": 50 });
  zone.cluster.close();
  const onNode = golden("traffic-distribution-node").replaceAll("nodeName: n2", "nodeName: n1");
  const node = upstreamOf(onNode, WEB);
  assert.deepEqual(Object.keys(node.picks(100)).sort(), ["10.244.1.1:80", "10.244.1.2:80"]);
  node.cluster.close();
});

test("without outlier detection, or where it is switched off, no place is preferred", () => {
  for (const name of ["locality-without-detection", "locality-disabled", "locality-mesh"]) {
    const { cluster, picks } = upstreamOf(golden(name), WEB);
    assert.equal(Object.keys(picks(300)).length, 6, name);
    cluster.close();
  }
});
