// Calls walked over what is generated for a proxy: each case of test/sim, without a socket.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { THEMES } from "../../sim/cases.ts";
import { simulate } from "../../sim/simulate.ts";
import { checkOutcome, ThemeMesh } from "../../sim/table.ts";
import { refusalsOf } from "../translate/refusals.ts";

for (const theme of THEMES) {
  describe(`calls: ${theme.name}`, () => {
    const mesh = new ThemeMesh(theme);
    it("is what weft's proxy takes", () => {
      for (const client of new Set(theme.cases.map((one) => mesh.clientOf(one))))
        assert.deepEqual(refusalsOf(mesh.configuration(client, "weft")), []);
    });
    for (const one of theme.cases) {
      it(one.name, () => checkOutcome(one.expect, simulate(one.call, mesh.held(mesh.clientOf(one)))));
    }
  });
}

describe("the table of calls", () => {
  const all = THEMES.flatMap(({ name, cases }) => cases.map((one) => `${name}: ${one.name}`));

  it("has at least 200 cases", () => assert.ok(all.length >= 200, String(all.length)));

  it("names each but once", () => {
    assert.deepEqual(
      all.filter((name, i) => all.indexOf(name) !== i),
      [],
    );
  });
});
