// The walk table on weft's proxy.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { Bootstrap } from "../../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { fromEnvoyJson } from "../../../src/proto/json.ts";
import { type RunningProxy, startProxy } from "../../../src/proxy/run/proxy.ts";
import { walkCases } from "../../walk/cases.ts";
import { checkAnswer, checkLog } from "../../walk/check.ts";
import { LISTENERS } from "../../walk/listeners.ts";
import { freePort, startOrigin, type WalkOrigin } from "../../walk/origin.ts";
import { ask, authorityOf, bootstrapOf, type TablePorts } from "../../walk/table.ts";

describe("the walk table on weft", () => {
  const cases = walkCases();
  const directory = mkdtempSync(join(tmpdir(), "weft-walk-"));
  const log = join(directory, "access.log");
  const running: { proxy?: RunningProxy; origin?: WalkOrigin } = {};
  let ports: TablePorts = { listeners: new Map(), admin: 0, origin: 0, refusing: 0 };
  before(async () => {
    running.origin = await startOrigin();
    ports = { ...ports, origin: running.origin.port, refusing: await freePort() };
    const bootstrap = fromEnvoyJson(Bootstrap, JSON.parse(JSON.stringify(bootstrapOf(cases, ports, log))));
    assert.ok(bootstrap.ok, bootstrap.ok ? "" : bootstrap.error.join("\n"));
    running.proxy = startProxy({
      bootstrap: bootstrap.value,
      source: undefined,
      localSecrets: undefined,
      clock: systemClock,
      random: seededRandom(1),
      registry: new Registry(),
    });
    await running.proxy.ready;
    const { proxy } = running;
    ports = { ...ports, listeners: new Map([...LISTENERS.keys()].map((name) => [name, proxy.port(name)])) };
  });
  after(() => {
    running.proxy?.close();
    running.origin?.close();
    rmSync(directory, { recursive: true });
  });
  for (const one of cases) {
    it(one.name, async () => {
      running.origin?.take();
      const answer = await ask(one, ports);
      checkAnswer(one.expect, answer, running.origin?.take() ?? []);
    });
  }
  it("logs each with its flags, details and route", async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const lines = readFileSync(log, "utf8").split("\n");
    for (const one of cases) checkLog(one.expect, authorityOf(one), lines);
  });
});
