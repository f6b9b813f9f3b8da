import assert from "node:assert/strict";
import { test } from "node:test";
import { nextTime, parseSchedule } from "../../../src/api/cron.ts";

function next(schedule: string, after: string, timeZone = "UTC"): string | undefined {
  const parsed = parseSchedule(schedule);
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.error);
  const atMs = nextTime(parsed.value, Date.parse(after), timeZone);
  return atMs === undefined ? undefined : new Date(atMs).toISOString().slice(0, 16);
}

test("schedules name their times", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["* * * * *", "2026-01-31T23:59:30Z", "2026-02-01T00:00"],
    ["*/15 * * * *", "2026-01-01T10:15:00Z", "2026-01-01T10:30"],
    ["30 6 * * MON-FRI", "2026-01-02T07:00:00Z", "2026-01-05T06:30"],
    ["0 0 29 2 *", "2026-03-01T00:00:00Z", "2028-02-29T00:00"],
    ["@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00"],
    ["5,10 1-2/1 * jan *", "2026-01-01T01:07:00Z", "2026-01-01T01:10"],
    // Both kinds of days restricted: either will do.
    ["0 0 13 * 5", "2026-01-02T00:00:00Z", "2026-01-09T00:00"],
    ["0 12 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T12:00"],
  ];
  for (const [schedule, after, wanted] of cases) assert.equal(next(schedule, after), wanted, schedule);
  assert.equal(next("0 0 30 2 *", "2026-01-01T00:00:00Z"), undefined);
});

test("a time zone has its own midnight, and an hour that summer time leaves out", () => {
  assert.equal(next("0 0 * * *", "2026-01-01T12:00:00Z", "Asia/Kolkata"), "2026-01-01T18:30");
  assert.equal(next("0 9 * * *", "2026-07-01T12:00:00Z", "Europe/Berlin"), "2026-07-02T07:00");
  // 29 March 2026: from 2:00 the clock goes to 3:00.
  assert.equal(next("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin"), "2026-03-30T00:30");
});

test("what is no schedule says why", () => {
  for (const text of ["* * * *", "60 * * * *", "* * * * MOON", "*/0 * * * *", "5-1 * * * *", ""]) {
    assert.equal(parseSchedule(text).ok, false, text);
  }
});
