// Meshes and edits by chance. A failure prints its seed: WEFT_FUZZ_SEED runs it alone; `--long` runs for ten minutes.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seededRandom } from "../../../src/base/random.ts";
import { type EncodedConfiguration, TYPES } from "../../../src/serve/resource.ts";
import type { ProxyNode } from "../../../src/translate/proxy.ts";
import type { SimCall } from "../../sim/call.ts";
import { heldOf } from "../../sim/client.ts";
import { inconsistencies } from "../../sim/consistent.ts";
import { Exchange } from "../../sim/exchange.ts";
import { type MeshEdit, podAddress, RandomMesh, serviceAddress, shuffled } from "../../sim/random-mesh.ts";
import { PROXIES, Replica } from "../../sim/replica.ts";
import { refusalsOf } from "../translate/refusals.ts";

const ONLY = process.env["WEFT_FUZZ_SEED"];
const LONG = process.env["WEFT_LONG"] === "1";
const BUDGET_MS = LONG ? 600_000 : 12_000;
const SEEDS_MIN = 4;
const SEEDS_MAX = LONG ? 100_000 : 10;
const EDITS = 30;

const CALLS: readonly SimCall[] = [
  ...(["a", "b"] as const).flatMap((namespace): readonly SimCall[] => {
    const at = (name: "web" | "api" | "db" | "multi", port: number): string =>
      `${serviceAddress(namespace, name)}:${port}`;
    const http = (to: string, host: string, path = "/"): SimCall => ({
      direction: "outbound",
      to,
      http: { host, path },
    });
    return [
      http(at("web", 80), `web.${namespace}`),
      http(at("web", 80), `web.${namespace}`, "/a"),
      http(at("web", 80), `web.${namespace}`, "/b"),
      http(at("api", 8080), `api.${namespace}:8080`),
      http(at("multi", 80), `multi.${namespace}`),
      http(at("multi", 8081), `multi.${namespace}:8081`),
      { direction: "outbound", to: at("api", 8080) },
      { direction: "outbound", to: at("db", 5432) },
      { direction: "outbound", to: at("multi", 7000) },
      { direction: "outbound", to: at("multi", 8081) },
      { direction: "outbound", to: `${podAddress(namespace, "set", 0)}:9092` },
      http(`${podAddress(namespace, "set", 0)}:9093`, `set.${namespace}:9093`),
      http(`${podAddress(namespace, "set", 1)}:9093`, `set-1.set.${namespace}:9093`),
    ];
  }),
  { direction: "outbound", to: "10.200.0.1:80", http: { host: "example.com" } },
  { direction: "outbound", to: "10.200.0.1:5432" },
  ...["ext.example.com", "a.wild.example.com", "vm.internal"].flatMap((host, i): readonly SimCall[] => [
    { direction: "outbound", to: `10.201.0.${i + 1}:80`, http: { host } },
    { direction: "outbound", to: `10.201.0.${i + 1}:443`, tls: { sni: host } },
    { direction: "outbound", to: `10.201.0.${i + 1}:5000` },
  ]),
];

const EXPLICIT_CALLS: readonly SimCall[] = (["web.a", "web.b", "api.a:8080", "multi.b", "multi.a:8081"] as const).map(
  (host) => ({ direction: "direct", to: "10.244.0.6:15001", http: { host } }),
);

const GATEWAY_CALLS: readonly SimCall[] = ["www.example.com", "api.example.com", "through.example.com"].flatMap(
  (host): readonly SimCall[] => [
    { direction: "direct", to: "10.244.0.30:18080", http: { host } },
    {
      direction: "direct",
      to: "10.244.0.30:18443",
      tls: { sni: host, alpn: ["http/1.1"], mesh: true },
      http: { host },
    },
    { direction: "direct", to: "10.244.0.30:18400" },
  ],
);

function callsOf(proxy: ProxyNode): readonly SimCall[] {
  if (proxy.type === "router") return GATEWAY_CALLS;
  return proxy.mode === "NONE" ? EXPLICIT_CALLS : CALLS;
}

/** The resources whose bytes differ. */
function different(one: EncodedConfiguration, two: EncodedConfiguration): readonly string[] {
  return TYPES.flatMap((type) => {
    const [all, others] = [one.resources[type], two.resources[type]];
    const names = new Set([...all.values(), ...others.values()].map(({ name }) => name));
    return [...names].flatMap((name) => {
      const [a, b] = [all.get(name)?.any.value, others.get(name)?.any.value];
      return a !== undefined && b !== undefined && Buffer.compare(a, b) === 0 ? [] : [`${type} ${name}`];
    });
  });
}

/** Everything of one seed: what is wrong, with the edits that led there. */
function run(seed: number): void {
  const random = seededRandom(seed);
  const mesh = new RandomMesh(random);
  const replica = new Replica();
  const exchanges = PROXIES.flatMap((proxy) =>
    (["delta", "sotw"] as const).map((variant) => new Exchange({ proxy, variant, random, calls: callsOf(proxy) })),
  );
  const done: string[] = [];
  const context = (): string => `seed ${seed}, the last edits:\n${done.slice(-6).join("\n")}`;
  const configured = (proxy: ProxyNode): EncodedConfiguration => {
    const configuration = replica.state.configure(proxy);
    assert.ok(configuration !== undefined);
    return configuration;
  };
  const publish = (edits: readonly MeshEdit[]): void => {
    replica.apply(edits);
    replica.publish();
    done.push(...edits.map(({ text }) => text));
    for (const proxy of PROXIES) {
      assert.deepEqual(inconsistencies(heldOf(configured(proxy))), [], context());
      const messages = replica.state.translate(proxy);
      assert.deepEqual(messages === undefined ? [] : refusalsOf(messages), [], context());
    }
    for (const each of exchanges) each.setTarget(configured(each.proxy));
  };
  const settle = (): void => {
    for (const each of exchanges) {
      assert.ok(each.settle(), `never settles: ${each.describe()}; ${context()}`);
      assert.deepEqual(each.differences(), [], `${each.describe()}; ${context()}`);
    }
  };
  publish(mesh.start());
  settle();
  for (let i = 0; i < EDITS; i++) {
    publish(Array.from({ length: 1 + Math.floor(random() * 3) }, () => mesh.edit()));
    const steps = Math.floor(random() * 60);
    for (let step = 0; step < steps; step++) exchanges[Math.floor(random() * exchanges.length)]?.step();
    const broken = exchanges[Math.floor(random() * exchanges.length)];
    if (random() < 0.2) broken?.reconnect();
    if (random() < 0.3) settle();
    for (const each of exchanges) assert.deepEqual(each.problems, [], context());
  }
  settle();
  for (const each of exchanges) {
    assert.deepEqual(each.problems, [], context());
    assert.equal(each.waited, 0, `${each.proxy.id} waited for a second; ${context()}`);
  }
  if (replica.state.snapshot?.keptForms.size === 0) sameElsewhere(mesh, replica, random, context());
}

/** A replica that learns of everything at once, in another order. */
function sameElsewhere(mesh: RandomMesh, replica: Replica, random: () => number, context: string): void {
  const other = new Replica();
  const all = shuffled([...mesh.documents.values()], random);
  other.apply(all.map((document) => ({ kind: "put", document, text: "" })));
  other.publish();
  for (const proxy of PROXIES) {
    const [one, two] = [replica.state.configure(proxy), other.state.configure(proxy)];
    assert.ok(one !== undefined && two !== undefined);
    assert.deepEqual(different(one, two), [], `${proxy.id}; ${context}`);
  }
}

describe("meshes by chance", () => {
  it("keep their promises through every edit", () => {
    const startedMs = performance.now();
    if (ONLY !== undefined) {
      run(Number(ONLY));
      return;
    }
    for (let seed = 1; seed <= SEEDS_MAX; seed++) {
      if (seed > SEEDS_MIN && performance.now() - startedMs > BUDGET_MS) break;
      run(seed);
    }
  });
});
