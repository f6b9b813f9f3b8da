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
import { type Authorizer, startAuthorizer } from "../../walk/authorizer.ts";
import { walkCases } from "../../walk/cases.ts";
import { checkAnswer, checkLog, checkStats } from "../../walk/check.ts";
import { startOrigin, type WalkOrigin } from "../../walk/origin.ts";
import { type RefusingPort, refusingPort } from "../../walk/refusing.ts";
import { ask, authorityOf, bootstrapOf, listenerNames, type TablePorts } from "../../walk/table.ts";

describe("the walk table on weft", () => {
  const cases = walkCases();
  const registry = new Registry();
  const directory = mkdtempSync(join(tmpdir(), "weft-walk-"));
  const log = join(directory, "access.log");
  const running: {
    authorizer?: Authorizer;
    proxy?: RunningProxy;
    origin?: WalkOrigin;
    refusing?: RefusingPort;
  } = {};
  let ports: TablePorts = { listeners: new Map(), admin: 0, origin: 0, refusing: 0, authz: 0, authzGrpc: 0 };
  before(async () => {
    running.origin = await startOrigin();
    running.authorizer = await startAuthorizer();
    running.refusing = await refusingPort();
    const { httpPort: authz, grpcPort: authzGrpc } = running.authorizer;
    ports = { ...ports, authz, authzGrpc, origin: running.origin.port, refusing: running.refusing.port };
    const bootstrap = fromEnvoyJson(Bootstrap, JSON.parse(JSON.stringify(bootstrapOf(cases, ports, log))));
    assert.ok(bootstrap.ok, bootstrap.ok ? "" : bootstrap.error.join("\n"));
    running.proxy = startProxy({
      bootstrap: bootstrap.value,
      source: undefined,
      localSecrets: undefined,
      clock: systemClock,
      random: seededRandom(1),
      registry,
      drain: { ms: 1000, strategy: "immediate" },
    });
    await running.proxy.ready;
    const { proxy } = running;
    ports = { ...ports, listeners: new Map(listenerNames(cases).map((name) => [name, proxy.port(name)])) };
  });
  after(() => {
    running.proxy?.close();
    running.origin?.close();
    running.authorizer?.close();
    running.refusing?.close();
    rmSync(directory, { recursive: true });
  });
  for (const one of cases) {
    it(one.name, async () => {
      running.origin?.take();
      const answer = await ask(one, ports);
      checkAnswer(one.expect, answer, running.origin?.take() ?? []);
      await checkStats(one, (name) => stat(registry, name));
    });
  }
  it("logs each with its flags, details and route", async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const lines = readFileSync(log, "utf8").split("\n");
    for (const one of cases) checkLog(one.expect, authorityOf(one), lines);
  });
});

function stat(registry: Registry, name: string): number | undefined {
  for (const series of registry.series()) {
    if (series.stat === name && series.metric.type !== "histogram") return series.metric.handle.value;
  }
  return undefined;
}
