// Spoiled messages through weft's proxy and through Envoy, each before a raw origin: weft never lets more through, and
// what both let through is framed alike. WEFT_FUZZ_SEED runs one seed, `--long` runs many.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { seededRandom } from "../../../src/base/random.ts";
import type { FramingCase } from "../../framing/case.ts";
import { pause, RawOrigin } from "../../framing/origin.ts";
import { type Outcome, runCase, type World } from "../../framing/run.ts";
import { startWeft } from "../../framing/weft.ts";
import { framingBootstrap } from "../../framing/world.ts";
import { compareWithEnvoy } from "../../fuzz/compare.ts";
import { makeMessage } from "../../fuzz/grammar.ts";
import { freePort } from "../../walk/origin.ts";
import { type RunningEnvoy, skipWithoutEnvoy, startEnvoy } from "./envoy.ts";

const ONLY = process.env["WEFT_FUZZ_SEED"];
const CASES = Number(process.env["WEFT_FUZZ_CASES"] ?? (process.env["WEFT_LONG"] === undefined ? 800 : 40_000));
/** A message that is not complete is given up after this long. */
const PATIENCE_MS = 60;

describe("spoiled messages on weft and on Envoy", { skip: skipWithoutEnvoy() }, () => {
  const directory = mkdtempSync(join(tmpdir(), "weft-fuzz-"));
  const origins = { weft: new RawOrigin(), envoy: new RawOrigin() };
  const running: { envoy?: RunningEnvoy; weft?: Awaited<ReturnType<typeof startWeft>> } = {};
  const ports = { plain: 0, rich: 0 };
  before(async () => {
    await origins.weft.start();
    await origins.envoy.start();
    const [plain, rich, admin] = [await freePort(), await freePort(), await freePort()];
    Object.assign(ports, { plain, rich });
    const bootstrap = framingBootstrap(
      { plain, rich, admin, origin: origins.envoy.port },
      join(directory, "envoy.log"),
    );
    running.envoy = await startEnvoy(directory, bootstrap, admin);
    running.weft = await startWeft(origins.weft.port, join(directory, "weft.log"));
  });
  after(() => {
    running.envoy?.kill();
    running.weft?.proxy.close();
    origins.weft.close();
    origins.envoy.close();
    rmSync(directory, { recursive: true });
  });

  it("weft lets nothing through that Envoy doesn't, nor frames it otherwise", async (context) => {
    const weft: World = { origin: origins.weft, port: (listener) => running.weft?.proxy.port(listener) ?? 0 };
    const envoy: World = { origin: origins.envoy, port: (listener) => ports[listener] };
    const wrong: string[] = [];
    let stricter = 0;
    let served = 0;
    const seeds = ONLY === undefined ? Array.from({ length: CASES }, (_, index) => 1_000_000 + index) : [Number(ONLY)];
    for (const seed of seeds) {
      const text = makeMessage(seededRandom(seed));
      let [ours, theirs] = await Promise.all([send(text, weft, PATIENCE_MS), send(text, envoy, PATIENCE_MS)]);
      let verdict = compareWithEnvoy(ours.origin, theirs.origin);
      if (verdict !== undefined && verdict !== "stricter") {
        // A busy machine may have been slow: what is wrong is wrong again with time.
        await pause(300);
        [ours, theirs] = await Promise.all([send(text, weft, 1500), send(text, envoy, 1500)]);
        verdict = compareWithEnvoy(ours.origin, theirs.origin);
      }
      served += ours.origin.requests.length > 1 ? 1 : 0;
      if (verdict === "stricter") stricter += 1;
      else if (verdict !== undefined) wrong.push(`seed ${seed}: ${JSON.stringify(text)}: ${verdict}`);
    }
    context.diagnostic(`${stricter} of ${seeds.length} are served by Envoy alone`);
    assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} of ${seeds.length}`);
    if (ONLY === undefined) assert.ok(served > CASES / 10, `weft served ${served} of ${CASES}`);
  });
});

function send(text: string, world: World, patienceMs: number): Promise<Outcome> {
  const one: FramingCase = { name: "", send: text, answer: [], after: "open", origin: [] };
  return runCase(one, world, (whole) => [whole], patienceMs);
}
