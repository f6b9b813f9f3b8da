// What manifests make of a destination, run by weft's own balancer in virtual time: no socket is opened.

import assert from "node:assert/strict";
import { VirtualClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { err } from "../../../src/base/result.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { Cluster as ClusterMessage } from "../../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../../../src/proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { ASSIGNMENT_TYPE, CLUSTER_TYPE, compileCluster, compileEndpoints } from "../../../src/proxy/compile/cluster.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import type { Resolve } from "../../../src/proxy/socket/dns.ts";
import { Cluster } from "../../../src/proxy/upstream/cluster.ts";
import type { ProxyNode } from "../../../src/translate/proxy.ts";
import { Translator } from "../../../src/translate/translate.ts";
import { proxyOf, snapshotOf } from "./mesh.ts";

export interface Upstream {
  readonly cluster: Cluster;
  readonly clock: VirtualClock;
  /** How often each host (by address and port) is picked. */
  picks(times: number): Readonly<Record<string, number>>;
  /** As if discovery told the endpoints of other manifests. */
  update(manifests: string): void;
}

export function upstreamOf(manifests: string, name: string, proxy: ProxyNode = proxyOf()): Upstream {
  const clock = new VirtualClock();
  const { clusters } = translated(manifests, proxy);
  const found = clusters.find((each) => each.name === name);
  assert.ok(found, `${name} is among ${clusters.map((each) => each.name).join(" ")}`);
  const field = Field.root(name, CLUSTER_TYPE);
  const config = compileCluster(ClusterMessage.decode(ClusterMessage.encode(found).finish()), field);
  assert.deepEqual(field.refusals, []);
  const resolve: Resolve = (_query, done) => done(err("there are no names here"));
  const cluster = new Cluster(
    config,
    { clock, random: seededRandom(1), registry: new Registry(), resolve, secrets: undefined, selfIp: undefined },
    () => undefined,
  );
  cluster.setEndpoints(endpoints(manifests, name, proxy));
  return {
    cluster,
    clock,
    picks(times) {
      const counts: Record<string, number> = {};
      for (let i = 0; i < times; i += 1) {
        const host = cluster.pick({ hash: undefined, avoid: [], attemptsMax: 0 }, undefined);
        const key = host?.address ?? "none";
        counts[key] = (counts[key] ?? 0) + 1;
      }
      return counts;
    },
    update: (next) => cluster.setEndpoints(endpoints(next, name, proxy)),
  };
}

function translated(manifests: string, proxy: ProxyNode) {
  return new Translator(snapshotOf(manifests)).translate(proxy);
}

function endpoints(manifests: string, name: string, proxy: ProxyNode) {
  const found = translated(manifests, proxy).endpoints.find((each) => each.clusterName === name);
  assert.ok(found, `${name} has endpoints`);
  const field = Field.root(name, ASSIGNMENT_TYPE);
  const compiled = compileEndpoints(ClusterLoadAssignment.decode(ClusterLoadAssignment.encode(found).finish()), field);
  assert.deepEqual(field.refusals, []);
  return compiled;
}
