// The table of calls on real proxies: weft's and Envoy get the generated resources over their discovery stream, a firewall
// in a network namespace leads real connections to them, and where each arrives is what the simulator says.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { THEMES } from "../../sim/cases.ts";
import { skipWithoutEnvoy } from "../envoy/envoy.ts";
import { NAMESPACE, skipWithoutNamespaces } from "./apart.ts";

const inside = join(import.meta.dirname, "inside.ts");

const apart = skipWithoutNamespaces();

for (const engine of ["weft", "envoy"] as const) {
  const skip = apart !== false ? apart : engine === "envoy" ? skipWithoutEnvoy() : false;
  describe(`the table of calls on ${engine}`, { skip }, () => {
    const directory = mkdtempSync(join(tmpdir(), "weft-sim-"));
    let results: Readonly<Record<string, string>> = {};
    before(() => {
      const argv = [...NAMESPACE, process.execPath, inside, engine, directory];
      const run = spawnSync("unshare", argv, { encoding: "utf8", timeout: 600_000 });
      assert.equal(run.status, 0, run.stderr.slice(-4_000));
      results = JSON.parse(readFileSync(join(directory, "results.json"), "utf8"));
    });
    after(() => rmSync(directory, { recursive: true }));
    for (const theme of THEMES) {
      describe(theme.name, () => {
        for (const one of theme.cases) {
          it(one.name, { skip: one.onlySimulated ?? false, todo: one.differs?.[engine] ?? false }, () => {
            assert.equal(results[`${theme.name}: ${one.name}`], "");
          });
        }
      });
    }
  });
}
