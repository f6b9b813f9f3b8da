// The transparent mode's pure parts: addresses that go round, service tables and their differences, shell words.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { ServiceRoute } from "../../../src/node/sandbox.ts";
import { AddressPool } from "../../../src/node/transparent/addresses.ts";
import { tableDifference } from "../../../src/node/transparent/chain-table.ts";
import { PODS_MAX } from "../../../src/node/transparent/limits.ts";
import { quote } from "../../../src/node/transparent/script.ts";
import { SERVICE_CHAINS, serviceTable } from "../../../src/node/transparent/service-table.ts";

function route(clusterIP: string, ips: readonly string[]): ServiceRoute {
  const endpoints = ips.map((ip) => ({ ip, port: 8080 }));
  return { namespace: "a", name: "b", clusterIP, ports: [{ port: 80, protocol: "TCP", endpoints }], addresses: [] };
}

describe("pod addresses", () => {
  it("are all different, use an address given back last, and end with a reason", () => {
    const pool = new AddressPool("10.244.0.0/16");
    const first = pool.take();
    assert.ok(first.ok);
    assert.deepEqual(first.value, {
      number: 1,
      podIP: "10.244.0.2",
      veth: "weft1",
      nodeLinkIP: "169.254.0.5",
      podLinkIP: "169.254.0.6",
    });
    pool.giveBack(first.value);
    const taken = Array.from({ length: PODS_MAX }, () => pool.take());
    assert.equal(new Set(taken.map((one) => one.ok && one.value.podIP)).size, PODS_MAX);
    assert.deepEqual(taken.at(-1), first);
    assert.equal(pool.take().ok, false);
    assert.ok(taken.every((one) => one.ok && !one.value.nodeLinkIP.startsWith("169.254.169.25")));
  });
});

describe("service tables", () => {
  it("differ by what changed only", () => {
    const before = serviceTable([route("10.96.0.1", ["10.244.0.2"]), route("10.96.0.2", ["10.244.0.3"])]);
    assert.equal(tableDifference(before, before, SERVICE_CHAINS), "");
    const after = serviceTable([route("10.96.0.1", ["10.244.0.2", "10.244.0.4"]), route("10.96.0.3", ["10.244.0.3"])]);
    assert.equal(
      tableDifference(before, after, SERVICE_CHAINS),
      `flush chain ip weft service_10_96_0_1_tcp_80
add rule ip weft service_10_96_0_1_tcp_80 meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.244.0.2 . 8080, 1 : 10.244.0.4 . 8080 }
add chain ip weft service_10_96_0_3_tcp_80
add rule ip weft service_10_96_0_3_tcp_80 meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 10.244.0.3 . 8080 }
add element ip weft services { 10.96.0.3 . tcp . 80 : goto service_10_96_0_3_tcp_80 }
delete element ip weft services { 10.96.0.2 . tcp . 80 }
flush chain ip weft service_10_96_0_2_tcp_80
delete chain ip weft service_10_96_0_2_tcp_80
`,
    );
  });

  it("leave out headless services and ports without endpoints", () => {
    assert.equal(serviceTable([route("None", ["10.244.0.2"]), route("10.96.0.1", [])]).size, 0);
  });
});

describe("shell words", () => {
  it("arrive as they were, whatever they hold", () => {
    const word = fc.string({ maxLength: 30 }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), (words) => {
        const script = `printf '%s\\0' ${words.map(quote).join(" ")}`;
        const said = words.length === 0 ? "" : execFileSync("/bin/sh", ["-c", script], { encoding: "utf8" });
        assert.equal(said, words.map((text) => `${text}\0`).join(""));
      }),
      { numRuns: 20 },
    );
  });
});
