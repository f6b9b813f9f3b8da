// What came of a case against what it expects.

import assert from "node:assert/strict";
import type { FramingCase } from "./case.ts";
import type { Outcome } from "./run.ts";

const SENTINEL = "GET /sentinel sentinel";

export interface Expected {
  readonly answer: readonly string[];
  readonly after: FramingCase["after"];
  readonly origin: readonly string[];
  readonly cut?: string;
}

export function checkOutcome(expected: Expected, outcome: Outcome): void {
  const open = expected.after === "open";
  assert.deepEqual(outcome.answers, open ? [...expected.answer, "200 ok"] : expected.answer, "what the client read");
  assert.ok(outcome.closed, "the connection was not closed");
  assert.deepEqual(outcome.origin.bad, [], "the origin got bytes that it can't read");
  assert.deepEqual(
    outcome.origin.requests,
    open ? [...expected.origin, SENTINEL] : expected.origin,
    "what the origin read",
  );
  for (const begun of outcome.origin.cut) {
    assert.ok(
      expected.cut !== undefined && begun.startsWith(expected.cut),
      `half a request reached the origin: ${begun}`,
    );
  }
}
