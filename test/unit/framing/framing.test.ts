// The framing corpus on weft's proxy, whole and in pieces.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { seededRandom } from "../../../src/base/random.ts";
import type { RunningProxy } from "../../../src/proxy/run/proxy.ts";
import type { FramingCase } from "../../framing/case.ts";
import { framingCases } from "../../framing/cases.ts";
import { checkOutcome } from "../../framing/check.ts";
import { RawOrigin } from "../../framing/origin.ts";
import { type Cutter, runCase, type World } from "../../framing/run.ts";
import { startWeft } from "../../framing/weft.ts";

/** The longest text that is cut into single bytes. */
const BYTEWISE_MAX = 120;

describe("the framing corpus on weft", () => {
  const directory = mkdtempSync(join(tmpdir(), "weft-framing-"));
  const log = join(directory, "access.log");
  const origin = new RawOrigin();
  const running: { proxy?: RunningProxy } = {};
  const world: World = { origin, port: (listener) => running.proxy?.port(listener) ?? 0 };
  const details: { readonly one: FramingCase; readonly clientPort: number }[] = [];
  before(async () => {
    await origin.start();
    running.proxy = (await startWeft(origin.port, log)).proxy;
  });
  after(() => {
    running.proxy?.close();
    origin.close();
    rmSync(directory, { recursive: true });
  });

  for (const [theme, cases] of Object.entries(framingCases)) {
    for (const one of cases) {
      it(`${theme}: ${one.name}`, async () => {
        const outcome = await runCase(one, world, whole);
        details.push({ one, clientPort: outcome.clientPort });
        checkOutcome(one, outcome);
      });
    }
    it(`${theme}: the same in pieces`, async () => {
      const random = seededRandom(5);
      for (const one of cases) {
        const outcome = await runCase(one, world, pieces(random));
        assert.doesNotThrow(() => checkOutcome(one, outcome), one.name);
      }
    });
  }

  it("logs why", async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const lines = readFileSync(log, "utf8").split("\n");
    const wrong = details.flatMap(({ one, clientPort }) => {
      const own = lines.filter((line) => line.startsWith(`127.0.0.1:${clientPort} `));
      if (one.details === undefined || own.some((line) => line.endsWith(` ${one.details}`))) return [];
      return [`${one.name}: ${own.join("; ")} instead of ${one.details}`];
    });
    assert.deepEqual(wrong, []);
  });
});

const whole: Cutter = (text) => [text];

/** Short texts byte by byte, longer ones in up to a dozen pieces. */
function pieces(random: () => number): Cutter {
  return (text) => {
    if (text.length <= BYTEWISE_MAX) return [...text];
    const at = Array.from({ length: 12 }, () => Math.floor(random() * text.length)).sort((a, b) => a - b);
    return [...at, text.length].map((end, index) => text.slice(at[index - 1] ?? 0, end)).filter((part) => part !== "");
  };
}
