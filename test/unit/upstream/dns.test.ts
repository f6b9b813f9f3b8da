// STRICT_DNS and ORIGINAL_DST clusters, with names that the test answers and time that it turns.

import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { err, ok } from "../../../src/base/result.ts";
import type { DnsQuery, Resolve } from "../../../src/proxy/socket/dns.ts";
import { stat } from "../proxy/harness.ts";
import { type Json, make, refusals } from "./made.ts";

const name = (address: string, more: Json = {}): Json => {
  return { endpoint: { address: { socketAddress: { address, portValue: 80 } } }, ...more };
};

interface Names {
  readonly resolve: Resolve;
  readonly asked: DnsQuery[];
  readonly at: number[];
  answers: Record<string, readonly string[] | undefined>;
  ttlMs: number | undefined;
}

function names(clock: VirtualClock, answers: Names["answers"]): Names {
  const made: Names = {
    asked: [],
    at: [],
    answers,
    ttlMs: undefined,
    resolve: (query, done) => {
      made.asked.push(query);
      made.at.push(clock.monotonicMs());
      const addresses = made.answers[query.name];
      done(addresses === undefined ? err("not found") : ok({ addresses, ttlMs: made.ttlMs }));
    },
  };
  return made;
}

const waits = (at: readonly number[]): number[] => at.slice(1).map((one, index) => one - (at[index] ?? 0));

test("every address of every name is a host; one that is not found keeps what it had; plain addresses need no name", () => {
  const clock = new VirtualClock();
  const dns = names(clock, { one: ["10.0.0.1", "10.0.0.2"], two: ["10.0.0.3"] });
  const endpoints = [{ lbEndpoints: [name("one"), name("two"), name("10.0.0.9")] }];
  const { cluster, registry } = make({ type: "STRICT_DNS", dnsLookupFamily: "V4_ONLY" }, endpoints, {
    clock,
    resolve: dns.resolve,
  });
  const addresses = () => cluster.hosts.map((host) => host.endpoint.host.slice(7)).join("");
  assert.equal(cluster.warm, true);
  assert.equal(addresses(), "1239");
  assert.equal(cluster.hosts[0]?.endpoint.hostname, "one");
  assert.equal(dns.asked[0]?.family, 4);
  const [first] = cluster.hosts;
  dns.answers = { one: ["10.0.0.4", "10.0.0.1"] };
  clock.advance(5000);
  assert.equal(addresses(), "4139");
  assert.equal(cluster.hosts[1], first, "the host that stays is the same");
  assert.equal(stat(registry, "cluster.c.update_failure"), 1);
  dns.answers = { one: [], two: ["10.0.0.3"] };
  clock.advance(5000);
  assert.equal(addresses(), "39");
  assert.equal(stat(registry, "cluster.c.update_empty"), 1);
  cluster.close();
  const before = dns.asked.length;
  clock.advance(60_000);
  assert.equal(dns.asked.length, before);
});

test("when a name is asked again: by the rate, by its records' time, and after failures by theirs", () => {
  const asks = (config: Json, found: boolean, ttlMs?: number): number[] => {
    const clock = new VirtualClock();
    const dns = names(clock, found ? { one: ["10.0.0.1"] } : {});
    dns.ttlMs = ttlMs;
    const endpoints = [{ lbEndpoints: [name("one")] }];
    const { cluster } = make({ type: "STRICT_DNS", ...config }, endpoints, {
      clock,
      resolve: dns.resolve,
      random: () => 0.999_999,
    });
    clock.advance(60_000);
    cluster.close();
    return waits(dns.at).map(Math.round);
  };
  assert.deepEqual(asks({ dnsRefreshRate: "20s" }, true, 1000), [20_000, 20_000, 20_000]);
  assert.deepEqual(asks({ dnsRefreshRate: "20s", respectDnsTtl: true }, true, 30_000), [30_000, 30_000]);
  assert.deepEqual(asks({ dnsRefreshRate: "20s", respectDnsTtl: true }, true), [20_000, 20_000, 20_000]);
  const failing = { dnsRefreshRate: "20s", dnsFailureRefreshRate: { baseInterval: "2s", maxInterval: "16s" } };
  assert.deepEqual(asks(failing, false), [2000, 4000, 8000, 16_000, 16_000]);
  assert.deepEqual(asks({ dnsRefreshRate: "20s" }, false), [20_000, 20_000, 20_000]);
});

test("which family's addresses count", () => {
  const both = { one: ["10.0.0.1", "fd00::1"], four: ["10.0.0.4"] };
  const hosts = (family: string, asked: string): string => {
    const clock = new VirtualClock();
    const dns = names(clock, both);
    const { cluster } = make({ type: "STRICT_DNS", dnsLookupFamily: family }, [{ lbEndpoints: [name(asked)] }], {
      clock,
      resolve: dns.resolve,
    });
    cluster.close();
    return cluster.hosts.map((host) => host.address).join();
  };
  assert.equal(hosts("AUTO", "one"), "[fd00::1]:80");
  assert.equal(hosts("AUTO", "four"), "10.0.0.4:80");
  assert.equal(hosts("V4_PREFERRED", "one"), "10.0.0.1:80");
  assert.equal(hosts("ALL", "one"), "10.0.0.1:80,[fd00::1]:80");
  assert.deepEqual(refusals({ type: "STRICT_DNS", dnsResolvers: [{ pipe: { path: "/x" } }] }), ["dns_resolvers"]);
  assert.deepEqual(refusals({ type: "STRICT_DNS", dnsFailureRefreshRate: {} }), ["dns_failure_refresh_rate"]);
});

test("an ORIGINAL_DST host is made for where a connection was going, on another port where it is told to, and goes when it is unused", () => {
  const config = {
    type: "ORIGINAL_DST",
    lbPolicy: "CLUSTER_PROVIDED",
    cleanupInterval: "7s",
    originalDstLbConfig: { upstreamPortOverride: 9 },
  };
  const { cluster, clock, registry } = make(config);
  const pick = (host: string) => cluster.pick({ hash: undefined, avoid: [], attemptsMax: 0 }, { host, port: 80 });
  const first = pick("10.0.0.1");
  assert.equal(first?.address, "10.0.0.1:9");
  assert.equal(pick("10.0.0.1"), first);
  assert.equal(pick("fd00::1")?.address, "[fd00::1]:9");
  assert.equal(stat(registry, "cluster.c.membership_total"), 2);
  clock.advance(6000);
  assert.equal(pick("10.0.0.1"), first);
  clock.advance(3000);
  assert.equal(stat(registry, "cluster.c.membership_total"), 1);
  assert.ok(first !== undefined);
  first.stats.rq_active = 1;
  clock.advance(60_000);
  assert.equal(pick("10.0.0.1"), first);
  first.stats.rq_active = 0;
  clock.advance(9000);
  assert.equal(stat(registry, "cluster.c.membership_total"), 0);
  cluster.close();
});

test("LOGICAL_DNS: one host, whose next connections go to the first address; what is open stays, and so does a name that went", () => {
  const clock = new VirtualClock();
  const dns = names(clock, { one: ["10.0.0.1", "10.0.0.2"] });
  const endpoints = [{ lbEndpoints: [name("one")] }];
  const around = { clock, resolve: dns.resolve };
  const { cluster, registry } = make({ type: "LOGICAL_DNS", dnsLookupFamily: "V4_ONLY" }, endpoints, around);
  assert.equal(cluster.warm, true);
  const [host] = cluster.hosts;
  assert.deepEqual([cluster.hosts.length, host?.endpoint.host, host?.endpoint.hostname], [1, "10.0.0.1", "one"]);
  dns.answers = { one: ["10.0.0.2", "10.0.0.1"] };
  clock.advance(5000);
  assert.deepEqual([cluster.hosts.length, cluster.hosts[0] === host, host?.address], [1, true, "10.0.0.2:80"]);
  dns.answers = { one: [] };
  clock.advance(5000);
  assert.equal(cluster.hosts[0]?.endpoint.host, "10.0.0.2");
  assert.equal(stat(registry, "cluster.c.membership_change"), 1);
  const two = { clusterName: "c", endpoints: [{ lbEndpoints: [name("one"), name("two")] }] };
  assert.deepEqual(refusals({ name: "c", type: "LOGICAL_DNS", loadAssignment: two }), ["load_assignment"]);
});
