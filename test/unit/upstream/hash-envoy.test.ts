// Where Envoy 1.40 sends a key: recorded from it for hosts 127.0.0.11 to .15, port 28080, and the header values user-0 to user-63.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Json, make, pick } from "./made.ts";

const EQUAL = [1, 1, 1, 1, 1];
const RISING = [1, 2, 3, 4, 5];

const RECORDED: readonly { readonly config: Json; readonly weights: readonly number[]; readonly hosts: string }[] = [
  {
    config: { lbPolicy: "RING_HASH" },
    weights: EQUAL,
    hosts: "1344214233014320120440402121342200104313323214033411101420144234",
  },
  {
    config: { lbPolicy: "RING_HASH", ringHashLbConfig: { hashFunction: "MURMUR_HASH_2" } },
    weights: EQUAL,
    hosts: "2014114412324213134111301403224031142300402241121333334422322302",
  },
  {
    config: { lbPolicy: "MAGLEV" },
    weights: EQUAL,
    hosts: "1333224314101321342434410021220230410000141021004340424343204001",
  },
  {
    config: { lbPolicy: "RING_HASH", ringHashLbConfig: { minimumRingSize: 200 } },
    weights: RISING,
    hosts: "2342213343344342134431432134142434424223424444231432431423323234",
  },
  {
    config: { lbPolicy: "MAGLEV", maglevLbConfig: { tableSize: 1021 } },
    weights: RISING,
    hosts: "4333301332232044314233044214444231034413011443314444443211432224",
  },
];

for (const { config, weights, hosts } of RECORDED) {
  test(`a key leads to Envoy's host: ${JSON.stringify(config)}`, () => {
    const lbEndpoints = weights.map((loadBalancingWeight, index) => {
      const socketAddress = { address: `127.0.0.${index + 11}`, portValue: 28_080 };
      return { endpoint: { address: { socketAddress } }, loadBalancingWeight };
    });
    const { cluster } = make(config, [{ lbEndpoints }]);
    const picked = Array.from({ length: 64 }, (_, key) => {
      const host = pick(cluster, { key: `user-${key}` });
      return Number(host?.endpoint.host.slice(8)) - 11;
    });
    assert.equal(picked.join(""), hosts);
    cluster.close();
  });
}
