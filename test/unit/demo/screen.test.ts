// What of the demo's picture has room in a terminal.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inRoom } from "../../../src/cluster/demo/screen.ts";

test("wide lines count as the rows that they take, colours as none; empty lines go first", () => {
  const wide = "x".repeat(91);
  const coloured = `\x1b[32m${"y".repeat(80)}\x1b[39m`;
  assert.deepEqual(inRoom(["a", wide, "", coloured, "b"], { columns: 80, rows: 7 }), ["a", wide, "", coloured, "b"]);
  assert.deepEqual(inRoom(["a", wide, "", coloured, "b"], { columns: 80, rows: 6 }), ["a", wide, coloured, "b"]);
  assert.deepEqual(inRoom(["a", wide, "", coloured, "b"], { columns: 80, rows: 5 }), ["a", wide, coloured]);
  assert.deepEqual(inRoom([wide], { columns: 10, rows: 2 }), [wide]);
});
