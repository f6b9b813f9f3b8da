// `weft assess --measure`: real sidecars, real numbers, nothing left behind.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { isRecord, parseJson } from "../../../src/base/json.ts";
import { root } from "../../e2e/cluster.ts";
import { run } from "../../e2e/process.ts";

test("what sidecars cost on this machine", { timeout: 120_000 }, async () => {
  const left = (): readonly string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("weft-assess-"));
  const before = left();
  const argv = [process.execPath, join(root, "bin/weft.js"), "assess", "-f", join(root, "examples/assess/four")];
  const outcome = await run([...argv, "--measure", "-o", "json"], { timeoutMs: 100_000 });
  const parsed = parseJson(outcome.stdout);
  assert.ok(outcome.code === 0 && parsed.ok && isRecord(parsed.value), `${outcome.code}: ${outcome.stderr}`);
  const { cost, verdict } = parsed.value;
  assert.equal(verdict, "no");
  assert.ok(isRecord(cost) && cost["isMeasured"] === true);
  const number = (name: string): number => Number(cost[name]);
  assert.ok(number("directP50Ms") > 0 && number("directP50Ms") < 50, JSON.stringify(cost));
  assert.ok(number("addedP50Ms") > 0 && number("addedP50Ms") < 50, JSON.stringify(cost));
  assert.ok(number("addedP99Ms") >= 0, JSON.stringify(cost));
  assert.ok(number("cpuSecondsPerThousand") > 0.01 && number("cpuSecondsPerThousand") < 5, JSON.stringify(cost));
  assert.ok(number("memoryMbPerPod") > 5 && number("memoryMbPerPod") < 150, JSON.stringify(cost));
  assert.deepEqual(left(), before);
});
