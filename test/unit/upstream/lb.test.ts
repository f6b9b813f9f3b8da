// Load balancers: who gets how much, and what stays where it is.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { xxHash64 } from "../../../src/base/hash.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { buildRing } from "../../../src/proxy/upstream/hash.ts";
import { at, type Json, type Made, make, pick, refusals, tally, update } from "./made.ts";

const many = (count: number, more: (index: number) => Json = () => ({})): Json[] =>
  Array.from({ length: count }, (_, index) => at(index + 1, more(index)));

function near(actual: number, wanted: number, within: number, what = ""): void {
  assert.ok(Math.abs(actual - wanted) <= within, `${what}: ${actual} is not within ${within} of ${wanted}`);
}

test("round robin gives every host of equal weight its turn, and goes on where it was when health changes", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1000 }), (count, seed) => {
      const { cluster } = make({}, [{ lbEndpoints: many(count) }], { random: seededRandom(seed) });
      const counts = tally(cluster, count * 3);
      assert.deepEqual([...counts.values()], new Array(count).fill(3));
      cluster.close();
    }),
  );
  const { cluster } = make({}, [{ lbEndpoints: many(4) }]);
  const before = pick(cluster)?.address;
  cluster.healthChanged();
  const seen = [before, pick(cluster)?.address, pick(cluster)?.address, pick(cluster)?.address];
  assert.equal(new Set(seen).size, 4);
  cluster.close();
});

test("weighted round robin is exact over a cycle, whatever the weights", () => {
  const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(weights, (list) => {
      const endpoints = many(list.length, (index) => ({ loadBalancingWeight: list[index] }));
      const { cluster } = make({}, [{ lbEndpoints: endpoints }]);
      const cycle = list.reduce((sum, weight) => sum + weight, 0);
      const cycles = 20;
      const counts = tally(cluster, cycle * cycles);
      // A window that begins within a cycle may be off by one turn at either end.
      for (const [index, weight] of list.entries()) near(counts.get(index + 1) ?? 0, weight * cycles, 2, list.join());
      cluster.close();
    }),
  );
});

test("random and least request spread evenly, and random does not look at weights", () => {
  for (const lbPolicy of ["RANDOM", "LEAST_REQUEST"]) {
    const { cluster } = make({ lbPolicy }, [{ lbEndpoints: many(10) }]);
    for (const [number, count] of tally(cluster, 20_000)) near(count, 2000, 200, `${lbPolicy} ${number}`);
    cluster.close();
  }
  const heavy = [{ lbEndpoints: [at(1, { loadBalancingWeight: 9 }), at(2)] }];
  const { cluster } = make({ lbPolicy: "RANDOM" }, heavy);
  near(tally(cluster, 10_000).get(1) ?? 0, 5000, 250);
  cluster.close();
});

test("least request prefers the host with fewer requests under way", () => {
  const { cluster } = make({ lbPolicy: "LEAST_REQUEST" }, [{ lbEndpoints: many(3) }]);
  for (const host of cluster.hosts.slice(0, 2)) host.stats.rq_active = 10;
  // Of two looked at, the idle one is among them with probability 5/9.
  near(tally(cluster, 18_000).get(3) ?? 0, 10_000, 400);
  cluster.close();
  const all = make({ lbPolicy: "LEAST_REQUEST", leastRequestLbConfig: { choiceCount: 64 } }, [
    { lbEndpoints: many(3) },
  ]);
  for (const host of all.cluster.hosts.slice(0, 2)) host.stats.rq_active = 10;
  assert.equal(tally(all.cluster, 1000).get(3), 1000);
  all.cluster.close();
});

test("least request with weights divides them by the requests under way, to the power of the bias", () => {
  const weighted = [{ lbEndpoints: [at(1, { loadBalancingWeight: 4 }), at(2, { loadBalancingWeight: 1 })] }];
  const shares = (bias: number): number => {
    const config = {
      lbPolicy: "LEAST_REQUEST",
      leastRequestLbConfig: { activeRequestBias: { defaultValue: bias, runtimeKey: "x" } },
    };
    const { cluster } = make(config, weighted);
    const [first] = cluster.hosts;
    assert.ok(first !== undefined);
    first.stats.rq_active = 3;
    const count = tally(cluster, 10_000).get(1) ?? 0;
    cluster.close();
    return count;
  };
  near(shares(0), 8000, 5);
  near(shares(1), 5000, 5);
  near(shares(2), 2000, 5);
});

const HASHING: readonly Json[] = [
  { lbPolicy: "RING_HASH" },
  { lbPolicy: "RING_HASH", ringHashLbConfig: { hashFunction: "MURMUR_HASH_2", minimumRingSize: 4096 } },
  { lbPolicy: "MAGLEV" },
];

test("ring hash and maglev spread keys, keep a key where it is, and move only those of a host that goes", () => {
  for (const config of HASHING) {
    const { cluster } = make(config, [{ lbEndpoints: many(10) }]);
    const where = (made: Made["cluster"]) =>
      Array.from({ length: 20_000 }, (_, index) => pick(made, { key: `user-${index}` })?.address);
    const before = where(cluster);
    const counts = new Map<string | undefined, number>();
    for (const address of before) counts.set(address, (counts.get(address) ?? 0) + 1);
    assert.equal(counts.size, 10);
    for (const count of counts.values()) near(count, 2000, 800, JSON.stringify(config));
    update(cluster, [{ lbEndpoints: many(9) }]);
    const after = where(cluster);
    const moved = before.filter((address, index) => address !== "10.0.0.10:80" && address !== after[index]).length;
    // Few others: a table of another number of hosts is filled a little differently, a ring gets more points for each.
    assert.ok(moved <= 1800, `${JSON.stringify(config)} moved ${moved}`);
    update(cluster, [{ lbEndpoints: many(10) }]);
    assert.deepEqual(where(cluster), before);
    cluster.close();
  }
});

test("a ring whose hosts have a fixed number of points moves no other key at all", () => {
  const keys = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ key: `10.0.0.${index}:80`, weight: 1 }));
  for (const hash of ["xx", "murmur"] as const) {
    const all = buildRing(keys(10), { sizeMin: 1000, sizeMax: 8192, hash });
    const fewer = buildRing(keys(9), { sizeMin: 900, sizeMax: 8192, hash });
    for (let key = 0; key < 5000; key += 1) {
      const index = all(xxHash64(`user-${key}`), 0);
      assert.ok(index === 9 || fewer(xxHash64(`user-${key}`), 0) === index);
    }
  }
});

test("hashing heeds weights, names where it is told to, and a host's own key", () => {
  for (const config of HASHING) {
    const endpoints = [at(1, { loadBalancingWeight: 3 }), at(2, { loadBalancingWeight: 1 })];
    const { cluster } = make(config, [{ lbEndpoints: endpoints }]);
    near(tally(cluster, 10_000, (turn) => ({ key: `k${turn}` })).get(1) ?? 0, 7500, 400, JSON.stringify(config));
    cluster.close();
    const own = { metadata: { filterMetadata: { "envoy.lb": { hash_key: "same" } } } };
    const named = (number: number, hostname: string): Json => {
      const address = { socketAddress: { address: `10.0.0.${number}`, portValue: 80 } };
      return { endpoint: { address, hostname } };
    };
    const byName = { ...config, commonLbConfig: { consistentHashingLbConfig: { useHostnameForHashing: true } } };
    const places = (made: Made): string =>
      Array.from({ length: 200 }, (_, index) => {
        return pick(made.cluster, { key: `${index}` }) === made.cluster.hosts[0];
      }).join();
    const one = make(byName, [{ lbEndpoints: [named(1, "a"), named(2, "b")] }]);
    const other = make(byName, [{ lbEndpoints: [named(3, "a"), named(4, "b")] }]);
    assert.equal(places(one), places(other));
    const keyed = make(config, [{ lbEndpoints: [at(1, own), at(2)] }]);
    const moved = make(config, [{ lbEndpoints: [at(7, own), at(2)] }]);
    assert.equal(places(keyed), places(moved));
    for (const made of [one, other, keyed, moved]) made.cluster.close();
  }
});

test("a retry avoids the hosts that were tried, as far as it may look", () => {
  for (const config of [{}, { lbPolicy: "RANDOM" }, { lbPolicy: "RING_HASH" }, { lbPolicy: "MAGLEV" }]) {
    const { cluster } = make(config, [{ lbEndpoints: many(3) }]);
    let same = 0;
    for (let turn = 0; turn < 300; turn += 1) {
      const first = pick(cluster, { key: `${turn}` });
      assert.ok(first !== undefined);
      if (pick(cluster, { key: `${turn}`, avoid: [first], attemptsMax: 20 }) === first) same += 1;
    }
    assert.ok(same <= 3, `${JSON.stringify(config)}: ${same}`);
    cluster.close();
  }
});

test("locality weights are kept exactly, and shrink once more hosts fail than were provided in excess", () => {
  const locality = (zone: string, weight: number, endpoints: readonly Json[]): Json => ({
    locality: { zone },
    loadBalancingWeight: weight,
    lbEndpoints: endpoints,
  });
  const sick = { healthStatus: "UNHEALTHY" };
  const config = { commonLbConfig: { localityWeightedLbConfig: {} } };
  const zones = [locality("a", 1, [at(1), at(2), at(3), at(4)]), locality("b", 2, [at(5), at(6)])];
  const { cluster } = make(config, zones);
  const of = (counts: Map<number, number>, numbers: readonly number[]) =>
    numbers.reduce((sum, number) => sum + (counts.get(number) ?? 0), 0);
  near(of(tally(cluster, 3000), [5, 6]), 2000, 2);
  // One of two: 1.4 × 1/2 of the weight 2 is 1.4, against 1.
  update(cluster, [locality("a", 1, [at(1), at(2), at(3), at(4)]), locality("b", 2, [at(5), at(6, sick)])]);
  near(of(tally(cluster, 2400), [5]), 1400, 2);
  // Three of four: 1.4 × 3/4 is above 1, so that nothing shrinks.
  update(cluster, [locality("a", 1, [at(1), at(2), at(3), at(4, sick)]), locality("b", 2, [at(5), at(6)])]);
  near(of(tally(cluster, 3000), [5, 6]), 2000, 2);
  // No weights: plain turns over all.
  update(cluster, [
    { locality: { zone: "a" }, lbEndpoints: [at(1)] },
    { locality: { zone: "b" }, lbEndpoints: [at(5), at(6)] },
  ]);
  near(of(tally(cluster, 3000), [5, 6]), 2000, 2);
  cluster.close();
});

test("slow start: a new host's share grows with time, by the aggression, from the least one", () => {
  const config = (slow: Json): Json => ({
    roundRobinLbConfig: { slowStartConfig: { slowStartWindow: "100s", ...slow } },
  });
  const share = (made: Made): number => (tally(made.cluster, 10_000).get(2) ?? 0) / 10_000;
  const joined = (slow: Json): Made => {
    const made = make(config(slow), [{ lbEndpoints: [at(1)] }]);
    made.clock.advance(1000);
    update(made.cluster, [{ lbEndpoints: [at(1), at(2)] }]);
    return made;
  };
  const made = joined({});
  near(share(made), 0.1 / 1.1, 0.005, "at first");
  made.clock.advance(50_000);
  near(share(made), 0.5 / 1.5, 0.005, "half way");
  made.clock.advance(50_000);
  near(share(made), 0.5, 0.001, "at the end");
  made.cluster.close();
  const eager = joined({ aggression: { defaultValue: 2, runtimeKey: "x" }, minWeightPercent: { value: 30 } });
  near(share(eager), 0.3 / 1.3, 0.005, "at first, eager");
  eager.clock.advance(25_000);
  near(share(eager), 0.5 / 1.5, 0.005, "a quarter, eager");
  eager.cluster.close();
  // Those of the beginning do not start slowly.
  const whole = make(config({}), [{ lbEndpoints: [at(1, { loadBalancingWeight: 1 }), at(2)] }]);
  near(share(whole), 0.5, 0.001, "from the beginning");
  whole.cluster.close();
  const least = make(
    { lbPolicy: "LEAST_REQUEST", leastRequestLbConfig: { slowStartConfig: { slowStartWindow: "100s" } } },
    [{ lbEndpoints: [at(1)] }],
  );
  update(least.cluster, [{ lbEndpoints: [at(1), at(2)] }]);
  near(share(least), 0.1 / 1.1, 0.005, "least request");
  least.cluster.close();
});

test("what a policy can't honour is refused by name", () => {
  const refused = (config: Json, path: string) => assert.deepEqual(refusals(config), [path]);
  refused({ lbPolicy: "CLUSTER_PROVIDED" }, "lb_policy");
  refused({ type: "ORIGINAL_DST" }, "lb_policy");
  refused({ lbPolicy: "MAGLEV", maglevLbConfig: { tableSize: 65_536 } }, "maglev_lb_config.table_size");
  refused(
    { lbPolicy: "RING_HASH", ringHashLbConfig: { minimumRingSize: 10, maximumRingSize: 5 } },
    "ring_hash_lb_config",
  );
  const common = "common_lb_config";
  refused({ commonLbConfig: { zoneAwareLbConfig: {} } }, `${common}.zone_aware_lb_config.routing_enabled`);
  refused(
    { commonLbConfig: { consistentHashingLbConfig: { hashBalanceFactor: 120 } } },
    `${common}.consistent_hashing_lb_config.hash_balance_factor`,
  );
  refused({ commonLbConfig: { overrideHostStatus: { statuses: ["HEALTHY"] } } }, `${common}.override_host_status`);
});
