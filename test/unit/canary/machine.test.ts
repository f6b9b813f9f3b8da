// The life of a rollout in virtual time: by hand, and by chance with restarts, lost writes, edits and requests in between.

import assert from "node:assert/strict";
import test from "node:test";
import type { HttpRoute, VirtualService } from "../../../src/api/istio/virtual-service.ts";
import type { CanarySetting, CanarySpec, CanaryStatus } from "../../../src/api/weft/canary.ts";
import { seededRandom } from "../../../src/base/random.ts";
import type { Verdict } from "../../../src/canary/judge.ts";
import { decide } from "../../../src/canary/machine.ts";
import { planOf } from "../../../src/canary/plan.ts";
import { managedRoutes, originalOf, says, write } from "../../../src/canary/routes.ts";

const PASS: Verdict = { kind: "pass", message: "as good", canary: undefined, stable: undefined };
const HOLD: Verdict = { ...PASS, kind: "hold", message: "3 requests have reached the canary; 50 are needed to tell" };
const FAIL: Verdict = { ...PASS, kind: "fail", message: "30 of the canary's 100 requests failed" };

function virtualService(stable: number, canary: number): VirtualService {
  const route = [
    { destination: { host: "api", subset: "v1" }, weight: stable },
    { destination: { host: "api", subset: "v2" }, weight: canary },
  ];
  const http: HttpRoute[] = [{ match: [{ uri: { prefix: "/" } }], route, timeout: "10s", retries: { attempts: 3 } }];
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "api", namespace: "production" },
    spec: { hosts: ["api"], http },
  };
}

/** A Canary, its VirtualService, and the control plane between them. */
class World {
  nowMs = 1_700_000_000_000;
  status: CanaryStatus | undefined;
  service: VirtualService;
  spec: CanarySpec;
  verdict = PASS;
  endpoints = 1;
  readonly notes: string[] = [];

  constructor(spec: Partial<CanarySpec> = {}, service = virtualService(90, 10)) {
    this.spec = { stable: "v1", canary: "v2", ...spec };
    this.service = service;
  }

  /** One look; `dies` says after which write the control plane ends. */
  look(dies: "never" | "before-status" | "before-service" = "never"): void {
    const plan = planOf(this.spec);
    const context = { stable: "v1", canary: "v2", original: this.status?.original ?? [], mirrors: this.#mirrors() };
    const { service } = this;
    const decision = decide(plan, this.status, {
      nowMs: this.nowMs,
      live: {
        kind: "routes",
        text: this.weights().join("/"),
        says: (setting) => says(service, setting, context),
        original: () => originalOf(service, plan),
      },
      canaryEndpoints: this.endpoints,
      isPaused: this.spec.paused === true,
      request: this.spec.request,
      verdict: () => this.verdict,
    });
    if (dies === "before-status") return;
    this.status = decision.status;
    this.notes.push(...decision.notes.map(({ reason }) => reason));
    if (dies === "before-service" || decision.set === undefined) return;
    this.set(decision.set);
  }

  set(setting: CanarySetting): void {
    const context = { stable: "v1", canary: "v2", original: this.status?.original ?? [], mirrors: this.#mirrors() };
    this.service = write(this.service, setting, context);
  }

  /** Looks once a second for so long. */
  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 1_000) {
      this.nowMs += 1_000;
      this.look();
    }
  }

  ask(action: NonNullable<CanarySpec["request"]>["action"]): void {
    this.spec = { ...this.spec, request: { id: `${this.nowMs}`, action } };
  }

  weights(): readonly (number | undefined)[] {
    return (managedRoutes(this.service, this.spec)[0]?.route ?? []).map(({ weight }) => weight);
  }

  #mirrors(): boolean {
    return (this.spec.steps ?? []).some(({ mirror }) => mirror !== undefined);
  }
}

const STEP_MS = 5 * 60_000;

test("the post's schedule: 10, 25, 50 and 100 % every five minutes, and nothing else is touched", () => {
  const world = new World();
  const { timeout, retries, match } = world.service.spec.http?.[0] ?? {};
  const seen: unknown[] = [];
  for (let minute = 0; minute < 21; minute += 1) {
    world.pass(60_000);
    seen.push(world.weights()[1]);
  }
  assert.deepEqual(
    seen.filter((weight, index) => weight !== seen[index - 1]),
    [10, 25, 50, 100],
  );
  assert.equal(world.status?.phase, "Succeeded");
  assert.deepEqual(world.weights(), [0, 100]);
  assert.deepEqual(
    { timeout, retries, match },
    { timeout: "10s", retries: { attempts: 3 }, match: [{ uri: { prefix: "/" } }] },
  );
  const after = world.service.spec.http?.[0];
  assert.deepEqual([after?.timeout, after?.retries, after?.match], [timeout, retries, match]);
  assert.deepEqual(world.notes, ["Started", "Advanced", "Advanced", "Advanced", "Succeeded"]);
});

test("a canary that does worse goes back to the stable version at once", () => {
  const world = new World();
  world.pass(STEP_MS + 10_000);
  assert.deepEqual(world.weights(), [75, 25]);
  world.verdict = FAIL;
  world.pass(3_000);
  assert.equal(world.status?.phase, "Aborted");
  assert.deepEqual(world.weights(), [100, 0]);
  assert.match(world.status.message ?? "", /30 of the canary's 100 requests failed/);
  world.pass(STEP_MS);
  assert.deepEqual(world.weights(), [100, 0]);
});

test("what can't be told is waited for, up to a limit, and then left to people", () => {
  const world = new World({ interval: "10s", analysis: { maxHolds: 2 } });
  world.verdict = HOLD;
  world.pass(12_000);
  assert.equal(world.status?.phase, "Progressing");
  assert.match(world.status.message ?? "", /step 1 goes on: 3 requests/);
  world.pass(25_000);
  assert.equal(world.status.phase, "Paused");
  assert.equal(world.status.reason, "Inconclusive");
  assert.deepEqual(world.weights(), [90, 10]);
  world.ask("resume");
  world.verdict = PASS;
  world.pass(14_000);
  assert.equal(world.status.phase, "Progressing");
  assert.deepEqual(world.weights(), [75, 25]);
});

test("somebody else's weights pause it; other edits do not", () => {
  const world = new World({ interval: "10s" });
  world.pass(3_000);
  const [first] = world.service.spec.http ?? [];
  world.service = {
    ...world.service,
    spec: { ...world.service.spec, http: [{ ...first, timeout: "3s" }, { name: "more" }] },
  };
  world.pass(9_000);
  assert.deepEqual(world.weights(), [75, 25]);
  assert.equal(world.service.spec.http?.[0]?.timeout, "3s");
  assert.equal(world.service.spec.http[1]?.name, "more");
  world.service = virtualService(40, 60);
  world.pass(3_000);
  assert.equal(world.status?.phase, "Paused");
  assert.equal(world.status.reason, "Conflict");
  assert.match(
    world.status.message ?? "",
    /weights of the VirtualService are 40\/60, which this rollout did not write/,
  );
  assert.deepEqual(world.weights(), [40, 60]);
  world.ask("resume");
  world.pass(2_000);
  assert.deepEqual(world.weights(), [75, 25]);
});

test("pause, resume, promote, promote all, abort, restart", () => {
  const world = new World({ interval: "10s" });
  world.pass(2_000);
  world.spec = { ...world.spec, paused: true };
  world.pass(30_000);
  assert.equal(world.status?.phase, "Paused");
  assert.deepEqual(world.weights(), [90, 10]);
  world.spec = { ...world.spec, paused: false };
  world.pass(2_000);
  assert.equal(world.status.phase, "Progressing");
  world.ask("promote");
  world.pass(2_000);
  assert.deepEqual(world.weights(), [75, 25]);
  // A request is obeyed once.
  world.pass(3_000);
  assert.deepEqual(world.weights(), [75, 25]);
  world.ask("promoteAll");
  world.verdict = HOLD;
  world.pass(3_000);
  assert.deepEqual(world.weights(), [0, 100]);
  assert.equal(world.status.phase, "Succeeded");
  world.ask("restart");
  world.pass(3_000);
  assert.deepEqual(world.weights(), [90, 10]);
  world.ask("abort");
  world.pass(3_000);
  assert.deepEqual(world.weights(), [100, 0]);
  assert.equal(world.status.phase, "Aborted");
});

test("by header and by mirror first; what they add is gone afterwards", () => {
  const steps = [{ headers: { "x-canary": { exact: "yes" } } }, { mirror: 20 }, { weight: 50 }];
  const world = new World({ interval: "10s", steps }, virtualService(100, 0));
  world.pass(3_000);
  const [added, own] = world.service.spec.http ?? [];
  assert.deepEqual(added?.match, [{ uri: { prefix: "/" }, headers: { "x-canary": { exact: "yes" } } }]);
  assert.deepEqual(added?.route, [{ destination: { host: "api", subset: "v2" } }]);
  assert.equal(added?.timeout, "10s");
  assert.equal(own?.mirror, undefined);
  world.pass(10_000);
  assert.equal(world.service.spec.http?.length, 1);
  assert.deepEqual(world.service.spec.http[0]?.mirror, { host: "api", subset: "v2" });
  assert.deepEqual(world.weights(), [100, 0]);
  world.pass(11_000);
  assert.deepEqual(world.service, virtualService(50, 50));
  world.pass(25_000);
  assert.deepEqual(world.service, virtualService(0, 100));
  assert.equal(world.status?.phase, "Succeeded");
});

test("it begins once the canary has an endpoint, and goes back when it has none any more", () => {
  const world = new World();
  world.endpoints = 0;
  world.pass(5_000);
  assert.equal(world.status?.phase, "Waiting");
  world.endpoints = 2;
  world.pass(3_000);
  assert.equal(world.status.phase, "Progressing");
  world.endpoints = 0;
  world.pass(3_000);
  assert.equal(world.status.phase, "Aborted");
  assert.deepEqual(world.weights(), [100, 0]);
});

test("by chance: no step is left out, weights always sum to 100, an abort ends at the stable version", () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = seededRandom(seed);
    const world = new World({ interval: "5s", analysis: { maxHolds: 1 } });
    let last = world.status;
    for (let turn = 0; turn < 120; turn += 1) {
      world.nowMs += 1_000;
      meddle(world, random);
      holds(world, last, `seed ${seed}, turn ${turn}: ${JSON.stringify(world.status?.history)}`);
      last = world.status;
    }
    for (let turn = 0; turn < 4; turn += 1) world.look();
    if (world.status?.phase === "Succeeded") assert.deepEqual(world.weights(), [0, 100], `seed ${seed}`);
  }
});

/** Requests, verdicts and deaths. */
function meddle(world: World, random: () => number): void {
  const chance = random();
  if (chance < 0.02) world.ask(random() < 0.5 ? "promote" : "resume");
  else if (chance < 0.03) world.ask("abort");
  else if (chance < 0.05) world.spec = { ...world.spec, paused: random() < 0.5 };
  const part = random();
  world.verdict = part < 0.85 ? PASS : part < 0.99 ? HOLD : FAIL;
  const death = random();
  world.look(death < 0.15 ? "before-status" : death < 0.3 ? "before-service" : "never");
}

function holds(world: World, last: CanaryStatus | undefined, where: string): void {
  const { status } = world;
  const [stable = 0, canary = 0] = world.weights();
  assert.equal(stable + canary, 100, where);
  assert.notEqual(status?.reason, "Conflict", where);
  const [step, before] = [status?.step ?? -1, last?.step ?? -1];
  assert.ok(step === before || step === before + 1, where);
  // What had not begun has taken nothing that could be given back.
  if (status?.phase === "Aborted" && status.original !== undefined) assert.equal(canary, 0, where);
  if (last?.phase === "RollingBack") assert.ok(status?.phase === "RollingBack" || status?.phase === "Aborted", where);
}
