// What `weft wait` makes of a resource's status.

import assert from "node:assert/strict";
import { test } from "node:test";
import { stateOf } from "../../../src/cli/wait.ts";

function object(condition: object, generation = 2): object {
  return {
    metadata: { name: "api", generation },
    status: { conditions: [{ type: "Accepted", status: "True" }, condition] },
  };
}

const PROGRAMMED = { type: "Programmed", status: "True", observedGeneration: 2, message: "2 of 2 proxies run it" };

test("a condition counts once it is about the newest generation", () => {
  assert.deepEqual(stateOf(object(PROGRAMMED), "programmed"), { kind: "met" });
  assert.deepEqual(stateOf(object(PROGRAMMED), "distribution"), { kind: "met" });
  assert.equal(stateOf(object(PROGRAMMED, 3), "programmed").kind, "wait");
  const pending = { ...PROGRAMMED, status: "False", reason: "Pending", message: "1 of 2 proxies run it" };
  assert.deepEqual(stateOf(object(pending), "programmed"), {
    kind: "wait",
    why: "Programmed is False: 1 of 2 proxies run it",
  });
});

test("a refusal is not waited for, and neither is what isn't there", () => {
  const refused = { ...PROGRAMMED, status: "False", reason: "Refused", message: "web-1.shop refused route 80: no" };
  assert.deepEqual(stateOf(object(refused), "programmed"), {
    kind: "never",
    why: "Programmed is False: web-1.shop refused route 80: no",
  });
  assert.equal(stateOf(undefined, "programmed").kind, "never");
});

test("any condition, with another value than True, and the end of a resource", () => {
  assert.deepEqual(stateOf(object(PROGRAMMED), "accepted"), { kind: "met" });
  assert.equal(stateOf(object(PROGRAMMED), "Programmed=False").kind, "wait");
  assert.equal(stateOf(object(PROGRAMMED), "Conflicted").kind, "wait");
  assert.deepEqual(stateOf(undefined, "delete"), { kind: "met" });
  assert.equal(stateOf(object(PROGRAMMED), "delete").kind, "wait");
});
