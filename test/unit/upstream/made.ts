// A cluster without a proxy around it: a configuration as JSON, virtual time, a seed.

import assert from "node:assert/strict";
import { VirtualClock } from "../../../src/base/clock.ts";
import { type Hash64, xxHash64 } from "../../../src/base/hash.ts";
import { type Random, seededRandom } from "../../../src/base/random.ts";
import { err } from "../../../src/base/result.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { Cluster as ClusterMessage } from "../../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../../../src/proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { fromEnvoyJson } from "../../../src/proto/json.ts";
import { ASSIGNMENT_TYPE, compileCluster, compileEndpoints } from "../../../src/proxy/compile/cluster.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import type { MetadataMatch } from "../../../src/proxy/compile/subset.ts";
import type { Resolve } from "../../../src/proxy/socket/dns.ts";
import { Cluster } from "../../../src/proxy/upstream/cluster.ts";
import type { Host } from "../../../src/proxy/upstream/host.ts";

export type Json = Readonly<Record<string, unknown>>;

export interface Made {
  readonly cluster: Cluster;
  readonly clock: VirtualClock;
  readonly registry: Registry;
}

/** An endpoint 10.0.0.N:80 in protobuf JSON. */
export function at(number: number, more: Json = {}): Json {
  const address = { socketAddress: { address: `10.0.0.${number}`, portValue: 80 } };
  return { endpoint: { address }, ...more };
}

export function message(config: Json): ClusterMessage {
  const read = fromEnvoyJson(ClusterMessage, { name: "c", type: "STATIC", connectTimeout: "1s", ...config });
  assert.ok(read.ok, read.ok ? "" : read.error.join("\n"));
  return read.value;
}

export function refusals(config: Json): readonly string[] {
  const field = Field.root("c", "test");
  compileCluster(message(config), field);
  return field.refusals.map((one) => one.path);
}

export interface MadeOptions {
  readonly random?: Random;
  readonly resolve?: Resolve;
  readonly clock?: VirtualClock;
}

export function make(config: Json, endpoints: readonly Json[] = [], options: MadeOptions = {}): Made {
  const clock = options.clock ?? new VirtualClock();
  const registry = new Registry();
  const field = Field.root("c", "test");
  const compiled = compileCluster(message({ loadAssignment: assignment(endpoints), ...config }), field);
  assert.deepEqual(field.refusals, []);
  const around = {
    clock,
    random: options.random ?? seededRandom(1),
    registry,
    resolve: options.resolve ?? ((_query, done) => done(err("there are no names here"))),
    secrets: undefined,
    selfIp: undefined,
  };
  return { cluster: new Cluster(compiled, around, () => undefined), clock, registry };
}

function assignment(endpoints: readonly Json[]): Json {
  return { clusterName: "c", endpoints };
}

/** New endpoints for a cluster that runs. */
export function update(cluster: Cluster, endpoints: readonly Json[], policy: Json = {}): void {
  const read = fromEnvoyJson(ClusterLoadAssignment, { ...assignment(endpoints), policy });
  assert.ok(read.ok, read.ok ? "" : read.error.join("\n"));
  const field = Field.root("c", ASSIGNMENT_TYPE);
  const compiled = compileEndpoints(read.value, field);
  assert.deepEqual(field.refusals, []);
  cluster.setEndpoints(compiled);
}

export interface Ask {
  readonly key?: string;
  readonly hash?: Hash64;
  readonly avoid?: readonly Host[];
  readonly attemptsMax?: number;
  readonly metadata?: MetadataMatch | undefined;
}

export function pick(cluster: Cluster, ask: Ask = {}): Host | undefined {
  const hash = ask.hash ?? (ask.key === undefined ? undefined : xxHash64(ask.key));
  const context = { hash, avoid: ask.avoid ?? [], attemptsMax: ask.attemptsMax ?? 0, metadata: ask.metadata };
  return cluster.pick(context, undefined);
}

/** How often each host was picked, by the last number of its address. */
export function tally(cluster: Cluster, times: number, ask: (turn: number) => Ask = () => ({})): Map<number, number> {
  const counts = new Map<number, number>();
  for (let turn = 0; turn < times; turn += 1) {
    const host = pick(cluster, ask(turn));
    const number = host === undefined ? 0 : Number(/\.(\d+):/.exec(host.address)?.[1]);
    counts.set(number, (counts.get(number) ?? 0) + 1);
  }
  return counts;
}
