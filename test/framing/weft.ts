// Weft's proxy on the corpus's bootstrap, in this process.

import assert from "node:assert/strict";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { Registry } from "../../src/observe/metrics.ts";
import { Bootstrap } from "../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { fromEnvoyJson } from "../../src/proto/json.ts";
import { type RunningProxy, startProxy } from "../../src/proxy/run/proxy.ts";
import { framingBootstrap } from "./world.ts";

export async function startWeft(
  origin: number,
  log: string,
): Promise<{ readonly proxy: RunningProxy; readonly registry: Registry }> {
  const json = framingBootstrap({ plain: 0, rich: 0, admin: 0, origin }, log);
  const bootstrap = fromEnvoyJson(Bootstrap, JSON.parse(JSON.stringify(json)));
  assert.ok(bootstrap.ok, bootstrap.ok ? "" : bootstrap.error.join("\n"));
  const registry = new Registry();
  const proxy = startProxy({
    bootstrap: bootstrap.value,
    source: undefined,
    localSecrets: undefined,
    clock: systemClock,
    random: seededRandom(1),
    registry,
  });
  await proxy.ready;
  return { proxy, registry };
}
