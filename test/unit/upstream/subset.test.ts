// Subsets: what the table of calls can't show.

import assert from "node:assert/strict";
import { test } from "node:test";
import { compileMetadataMatch, type MetadataMatch } from "../../../src/proxy/compile/subset.ts";
import { stat } from "../proxy/harness.ts";
import { at, type Json, make, pick, refusals, tally, update } from "./made.ts";

const labelled = (number: number, labels: Json, more: Json = {}): Json =>
  at(number, { metadata: { filterMetadata: { "envoy.lb": labels } }, ...more });

function asks(labels: Json): { readonly metadata: MetadataMatch | undefined } {
  return {
    metadata: compileMetadataMatch(
      { filterMetadata: { "envoy.lb": { ...labels } }, typedFilterMetadata: {} },
      undefined,
    ),
  };
}

const subsets = (config: Json): Json => ({ lbSubsetConfig: config });
const KEY_V = { keys: ["v"] };

test("hosts come and go: subsets are made and removed, health counts in them, and turns go on", () => {
  const hosts = [labelled(1, { v: "a" }), labelled(2, { v: "a" }), labelled(3, { v: "b" })];
  const { cluster, registry } = make(subsets({ subsetSelectors: [KEY_V] }), [{ lbEndpoints: hosts }]);
  assert.deepEqual(
    tally(cluster, 10, () => asks({ v: "a" })),
    new Map([
      [1, 5],
      [2, 5],
    ]),
  );
  assert.deepEqual(
    tally(cluster, 4, () => asks({ v: "b" })),
    new Map([[3, 4]]),
  );
  assert.equal(pick(cluster, asks({ v: "c" })), undefined);
  assert.equal(pick(cluster), undefined);
  assert.equal(stat(registry, "cluster.c.lb_subsets_active"), 2);
  assert.equal(stat(registry, "cluster.c.lb_subsets_selected"), 14);
  const [first] = cluster.hosts;
  assert.ok(first !== undefined);
  // One of two sick is exactly half, which is not below the threshold.
  first.monitor.ejected = true;
  cluster.healthChanged();
  assert.deepEqual(
    tally(cluster, 4, () => asks({ v: "a" })),
    new Map([[2, 4]]),
  );
  update(cluster, [{ lbEndpoints: [labelled(4, { v: "c" }), labelled(3, { v: "b" })] }]);
  assert.deepEqual(
    tally(cluster, 2, () => asks({ v: "c" })),
    new Map([[4, 2]]),
  );
  assert.equal(pick(cluster, asks({ v: "a" })), undefined);
  assert.equal(stat(registry, "cluster.c.lb_subsets_created"), 3);
  assert.equal(stat(registry, "cluster.c.lb_subsets_removed"), 1);
  cluster.close();
});

test("values are compared as what they are: text, numbers, lists, fields in any order", () => {
  const hosts = [
    labelled(1, { v: "1" }),
    labelled(2, { v: 1 }),
    labelled(3, { v: { x: 1, y: [true] } }),
    labelled(4, { v: ["p", "q"] }),
  ];
  const plain = make(subsets({ subsetSelectors: [KEY_V] }), [{ lbEndpoints: hosts }]);
  const who = (made: typeof plain, v: unknown) => pick(made.cluster, asks({ v }))?.address.slice(7, 8);
  assert.deepEqual([who(plain, "1"), who(plain, 1), who(plain, { y: [true], x: 1 })], ["1", "2", "3"]);
  assert.deepEqual([who(plain, ["p", "q"]), who(plain, "p")], ["4", undefined]);
  const any = make(subsets({ subsetSelectors: [KEY_V], listAsAny: true }), [{ lbEndpoints: hosts }]);
  assert.deepEqual([who(any, "p"), who(any, "q"), who(any, ["p", "q"])], ["4", "4", undefined]);
  plain.cluster.close();
  any.cluster.close();
});

test("one host for a subset, and any host where even the fallback has none", () => {
  const hosts = [labelled(1, { v: "a" }), labelled(2, { v: "a" })];
  const single = make(subsets({ subsetSelectors: [{ ...KEY_V, singleHostPerSubset: true }] }), [
    { lbEndpoints: hosts },
  ]);
  assert.deepEqual(
    tally(single.cluster, 5, () => asks({ v: "a" })),
    new Map([[1, 5]]),
  );
  single.cluster.close();
  const panics = {
    fallbackPolicy: "DEFAULT_SUBSET",
    defaultSubset: { v: "z" },
    subsetSelectors: [KEY_V],
    panicModeAny: true,
  };
  const any = make(subsets(panics), [{ lbEndpoints: hosts }]);
  assert.notEqual(pick(any.cluster, asks({ v: "q" })), undefined);
  assert.equal(stat(any.registry, "cluster.c.lb_subsets_fallback_panic"), 1);
  any.cluster.close();
});

test("a locality's weight counts in a subset when it is told to, whole or by the part of its hosts that are in it", () => {
  const zone = (name: string, weight: number, lbEndpoints: readonly Json[]): Json => {
    return { locality: { zone: name }, loadBalancingWeight: weight, lbEndpoints };
  };
  const zones = [
    zone("a", 1, [labelled(1, { v: "x" }), labelled(2, { v: "x" })]),
    zone("b", 2, [labelled(3, { v: "x" }), labelled(4, { v: "y" })]),
  ];
  const share = (more: Json): number => {
    const config = {
      commonLbConfig: { localityWeightedLbConfig: {} },
      ...subsets({ subsetSelectors: [KEY_V], ...more }),
    };
    const { cluster } = make(config, zones);
    const count = tally(cluster, 6000, () => asks({ v: "x" })).get(3) ?? 0;
    cluster.close();
    return count;
  };
  assert.ok(Math.abs(share({}) - 2000) < 5);
  assert.ok(Math.abs(share({ localityWeightAware: true }) - 4000) < 5);
  assert.ok(Math.abs(share({ localityWeightAware: true, scaleLocalityWeight: true }) - 3000) < 5);
});

test("what subsets can't honour is refused by name", () => {
  const refused = (config: Json, path: string) =>
    assert.deepEqual(refusals(subsets({ subsetSelectors: [KEY_V], ...config })), [`lb_subset_config.${path}`]);
  refused({ metadataFallbackPolicy: "FALLBACK_LIST" }, "metadata_fallback_policy");
  const keys = { keys: ["a", "b"], fallbackPolicy: "KEYS_SUBSET" };
  refused(
    { subsetSelectors: [{ ...keys, fallbackKeysSubset: ["a", "b"] }] },
    "subset_selectors[0].fallback_keys_subset",
  );
  refused(
    { subsetSelectors: [{ keys: ["a", "b"], singleHostPerSubset: true }] },
    "subset_selectors[0].single_host_per_subset",
  );
});
