// An answer against what the table expects.

import assert from "node:assert/strict";
import type { Expected, WalkCase } from "./case.ts";
import type { Seen } from "./origin.ts";
import type { Answer } from "./table.ts";

type Headers = Readonly<Record<string, string | RegExp | null>>;

export function checkAnswer(expected: Expected, answer: Answer, seen: readonly Seen[]): void {
  assert.equal(answer.status, expected.status, `status; body ${JSON.stringify(answer.body)}`);
  if (expected.reason !== undefined) assert.equal(answer.reason, expected.reason);
  if (expected.wire !== undefined) assert.match(answer.wire, expected.wire);
  if (expected.body !== undefined) checkText("body", answer.body, expected.body);
  checkHeaders("response", answer.headers, expected.headers ?? {});
  const { origin } = expected;
  if (origin === undefined) return;
  if (origin === null) {
    assert.deepEqual(seen, [], "the origin was asked");
    return;
  }
  const last = seen.at(-1);
  assert.ok(last !== undefined, "the origin was not asked");
  if (origin.method !== undefined) assert.equal(last.method, origin.method);
  if (origin.times !== undefined) assert.equal(seen.length, origin.times, "how often the origin was asked");
  if (origin.body !== undefined) assert.equal(last.body, origin.body);
  if (origin.path !== undefined) assert.equal(last.path, origin.path);
  checkHeaders("request", last.headers, origin.headers ?? {});
}

/** `read` gives a counter by its name; one that nobody has counted yet may be missing. */
export async function checkStats(
  one: WalkCase,
  read: (name: string) => number | undefined | Promise<number | undefined>,
): Promise<void> {
  for (const [name, wanted] of Object.entries(one.expect.stats ?? {})) {
    assert.equal((await read(name)) ?? 0, wanted, name);
  }
}

export function checkLog(expected: Expected, authority: string, lines: readonly string[]): void {
  if (expected.log === undefined) return;
  const line = lines.findLast((one) => one.startsWith(`${authority} `));
  if (expected.log === null) {
    assert.equal(line, undefined, "the access log has a line");
    return;
  }
  assert.ok(line !== undefined, `no line of ${authority} in the access log`);
  checkText("access log", line.slice(authority.length + 1), expected.log);
}

function checkHeaders(what: string, headers: Readonly<Record<string, unknown>>, expected: Headers): void {
  for (const [name, wanted] of Object.entries(expected)) {
    const value = headers[name];
    if (wanted === null) assert.equal(value, undefined, `${what} header ${name}`);
    else checkText(`${what} header ${name}`, String(value), wanted);
  }
}

function checkText(what: string, text: string, wanted: string | RegExp): void {
  if (typeof wanted === "string") assert.equal(text, wanted, what);
  else assert.match(text, wanted, what);
}
