// The collector at the rim: real servers in place of the sidecars' 15020.

import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { SCRAPE_ACTIVE_MS, SCRAPE_IDLE_MS } from "../../../src/control/limits.ts";
import { type ScrapeTarget, TrafficCollector } from "../../../src/control/traffic.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { page } from "../traffic/page.ts";

interface Sidecar {
  readonly target: ScrapeTarget;
  requests: number;
  visits: number;
  answer: "page" | "error";
}

async function sidecar(t: TestContext, name: string): Promise<Sidecar> {
  const server = http.createServer((request, response) => {
    state.visits += 1;
    if (state.answer === "error" || request.url !== "/stats/prometheus") {
      response.writeHead(500).end();
      return;
    }
    response.end(page([{ source: "web", destination: "api-v1", version: "v1", requests: state.requests }]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const bound: string | AddressInfo | null = server.address();
  assert.ok(typeof bound === "object" && bound !== null);
  const state: Sidecar = {
    target: { name, address: "127.0.0.1", port: bound.port },
    requests: 0,
    visits: 0,
    answer: "page",
  };
  return state;
}

function collector(t: TestContext, targets: () => readonly ScrapeTarget[]) {
  const clock = new VirtualClock();
  const registry = new Registry();
  const scope = registry.scope({ statPrefix: "", namePrefix: "", labels: {} });
  const made = new TrafficCollector({ clock, targets, scope });
  t.after(() => made.stop());
  /** Moves time on, and lets the round that falls due end. */
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await made.refresh();
  };
  return { clock, scope, made, pass };
}

test("what all sidecars count is one answer; one that fails holds up nobody and is left alone for a while", async (t) => {
  const good = await sidecar(t, "shop/web-1");
  const other = await sidecar(t, "shop/web-2");
  const broken = await sidecar(t, "shop/broken");
  broken.answer = "error";
  const { made, pass, scope } = collector(t, () => [good.target, broken.target, other.target]);
  await pass(1_000);
  good.requests = 30;
  other.requests = 12;
  await pass(2_000);
  const [edge] = made.view.edges(60);
  assert.equal(edge?.requests, 42);
  assert.equal(edge.requestsPerSecond, 21);
  for (let round = 0; round < 10; round += 1) await pass(2_000);
  assert.equal(good.visits, 12);
  // Tried in the rounds 1, 2, 5 and 12: the pauses double.
  assert.equal(broken.visits, 4);
  assert.equal(scope.counter("weft_traffic_scrape_failures_total").value, 4);
  broken.answer = "page";
  for (let round = 0; round < 16; round += 1) await pass(2_000);
  assert.ok(broken.visits > 4);
});

test("rounds are rare while nobody looks and frequent while somebody does", async (t) => {
  const one = await sidecar(t, "shop/web-1");
  const { clock, made } = collector(t, () => [one.target]);
  /** In steps, each with time for what the network does. */
  const wait = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  };
  await wait(SCRAPE_IDLE_MS + 1_000);
  assert.equal(one.visits, 1);
  const release = made.want();
  const alsoRelease = made.want();
  await wait(4 * SCRAPE_ACTIVE_MS);
  const busy = one.visits;
  assert.ok(busy >= 4 && busy <= 6, `${busy} visits`);
  release();
  alsoRelease();
  await wait(SCRAPE_ACTIVE_MS + 1_000);
  const after = one.visits;
  await wait(10_000);
  assert.equal(one.visits, after);
});
