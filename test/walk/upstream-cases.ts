// Which host of a cluster a request goes to.

import type { Expected, Json, WalkCase } from "./case.ts";
import { toOrigin } from "./route.ts";

const ANY = { prefix: "/" };

function asks(labels: Json): Json {
  return { metadataMatch: { filterMetadata: { "envoy.lb": labels } } };
}

/** Through a cluster, with the authority of the host that was chosen. */
function through(name: string, cluster: string, expect: Expected, more: Json = {}): WalkCase {
  return { name, routes: [toOrigin(ANY, { cluster, autoHostRewrite: true, ...more })], call: {}, expect };
}

const reaches = (host: string | RegExp): Expected => ({ status: 200, origin: { headers: { host } } });
const NO_HOST: Expected = {
  status: 503,
  body: /^no healthy upstream/,
  origin: null,
  log: "UH no_healthy_upstream -",
};
const THREE = reaches("three.host");

export const upstreamCases: readonly WalkCase[] = [
  through("subset-one-key", "subsets", reaches("one.host"), asks({ version: "v1" })),
  through("subset-two-keys", "subsets", THREE, asks({ version: "v2", stage: "dev" })),
  through("subset-fallback-default", "subsets", THREE, asks({ version: "v9" })),
  through("subset-fallback-none", "subsets", NO_HOST, asks({ stage: "nowhere" })),
  through("subset-fallback-any", "subsets", reaches(/^(one|two|three)\.host$/), asks({ zone: "a" })),
  through("subset-fallback-keys", "subsets", reaches("one.host"), asks({ version: "v1", stage: "nowhere" })),
  through("subset-fallback-keys-too", "subsets", THREE, asks({ version: "v9", stage: "nowhere" })),
  through("subset-unknown-keys", "subsets", THREE, asks({ other: "x" })),
  through("subset-not-asked", "subsets", THREE),
  {
    name: "subset-of-a-weighted-cluster",
    routes: [
      {
        match: ANY,
        route: {
          weightedClusters: { clusters: [{ name: "subsets", weight: 1, ...asks({ version: "v1" }) }] },
          ...asks({ version: "v2", stage: "prod" }),
          autoHostRewrite: true,
        },
      },
    ],
    call: {},
    expect: reaches("one.host"),
  },
  through("priority-spills", "second-priority", THREE),
  through("no-panic-no-host", "all-sick", NO_HOST),
  through("panic-takes-all", "panic", reaches(/^(one|two)\.host$/)),
  through("degraded-rather-than-none", "degraded", reaches("two.host")),
  through("check-passes", "check-passes", reaches("one.host")),
  through("check-fails", "check-fails", NO_HOST),
  through("draining-is-not-healthy", "draining", reaches("two.host")),
];
