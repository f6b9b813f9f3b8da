// The matrices of mTLS and of rules on real connections: weft's proxy and Envoy get the generated resources over their
// discovery stream, and each cell has to come out as it must.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { modeGroups } from "../../authz/matrix.ts";
import { ruleGroups } from "../../authz/rule-matrix.ts";
import { skipWithoutEnvoy } from "../envoy/envoy.ts";
import { NAMESPACE, skipWithoutNamespaces } from "../sim/apart.ts";

const inside = join(import.meta.dirname, "inside.ts");
const groups = [...modeGroups, ...ruleGroups];
const apart = skipWithoutNamespaces();

it("has at least 400 cells, and both answers often", () => {
  const cells = groups.flatMap((group) => group.cells);
  const arriving = cells.filter(({ wanted }) => wanted === "arrives").length;
  assert.ok(
    cells.length >= 400 && arriving > 200 && cells.length - arriving > 200,
    `${arriving} of ${cells.length} arrive`,
  );
  assert.equal(new Set(groups.flatMap((group) => group.cells.map(({ name }) => group.name + name))).size, cells.length);
});

for (const engine of ["weft", "envoy"] as const) {
  const skip = apart !== false ? apart : engine === "envoy" ? skipWithoutEnvoy() : false;
  describe(`the matrix on ${engine}`, { skip }, () => {
    const directory = mkdtempSync(join(tmpdir(), "weft-matrix-"));
    let results: Readonly<Record<string, unknown>> = {};
    before(() => {
      const argv = [...NAMESPACE, process.execPath, inside, engine, directory];
      const run = spawnSync("unshare", argv, { encoding: "utf8", timeout: 300_000 });
      assert.equal(run.status, 0, run.stderr.slice(-4_000));
      results = JSON.parse(readFileSync(join(directory, "results.json"), "utf8"));
    });
    after(() => rmSync(directory, { recursive: true }));
    for (const group of groups) {
      it(`${group.name}: ${group.cells.length} cells`, () => {
        const wrong = group.cells.flatMap(({ name, wanted }) => {
          const seen = results[`${group.name}: ${name}`];
          return seen === wanted ? [] : [`${name}: ${String(seen)}, not ${wanted}`];
        });
        assert.deepEqual(wrong, []);
      });
    }
  });
}
