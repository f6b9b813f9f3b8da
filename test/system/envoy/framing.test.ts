// The framing corpus on real Envoy: what weft's proxy is compared with.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { framingCases } from "../../framing/cases.ts";
import { checkOutcome } from "../../framing/check.ts";
import { differences } from "../../framing/differences.ts";
import { RawOrigin } from "../../framing/origin.ts";
import { runCase, type World } from "../../framing/run.ts";
import { framingBootstrap } from "../../framing/world.ts";
import { freePort } from "../../walk/origin.ts";
import { type RunningEnvoy, skipWithoutEnvoy, startEnvoy } from "./envoy.ts";

describe("the framing corpus on Envoy", { skip: skipWithoutEnvoy() }, () => {
  const directory = mkdtempSync(join(tmpdir(), "weft-framing-"));
  const origin = new RawOrigin();
  const running: { envoy?: RunningEnvoy } = {};
  const ports = { plain: 0, rich: 0 };
  const world: World = { origin, port: (listener) => ports[listener] };
  const unused = new Map(Object.entries(differences));
  before(async () => {
    await origin.start();
    const [plain, rich, admin] = [await freePort(), await freePort(), await freePort()];
    ports.plain = plain;
    ports.rich = rich;
    const bootstrap = framingBootstrap({ plain, rich, admin, origin: origin.port }, join(directory, "access.log"));
    running.envoy = await startEnvoy(directory, bootstrap, admin);
  });
  after(() => {
    running.envoy?.kill();
    origin.close();
    rmSync(directory, { recursive: true });
  });
  for (const [theme, cases] of Object.entries(framingCases)) {
    for (const one of cases) {
      const name = `${theme}: ${one.name}`;
      it(name, async () => {
        const difference = unused.get(name);
        unused.delete(name);
        const outcome = await runCase(one, world, (text) => [text]);
        if (difference !== undefined && difference.envoy === undefined) assert.throws(() => checkOutcome(one, outcome));
        else checkOutcome({ ...one, ...difference?.envoy }, outcome);
      });
    }
  }
  it("differs nowhere else than it is written down", () => {
    assert.deepEqual([...unused.keys()], []);
  });
});
