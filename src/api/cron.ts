// A cron schedule: five fields, or one of the words for common ones. Pure.

import { err, ok, type Result } from "../base/result.ts";

export interface Schedule {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly weekdays: ReadonlySet<number>;
  /** Where both fields of days are restricted, one of them is enough. */
  readonly eitherDay: boolean;
}

const WORDS: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

export function parseSchedule(text: string): Result<Schedule, string> {
  const fields = (WORDS[text.trim()] ?? text).trim().split(/\s+/);
  if (fields.length !== 5) {
    return err(`expected exactly 5 fields (minute, hour, day, month, weekday), found ${fields.length}: [${text}]`);
  }
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = fields;
  const minutes = parseField(minute, { min: 0, max: 59, names: [] });
  const hours = parseField(hour, { min: 0, max: 23, names: [] });
  const days = parseField(day, { min: 1, max: 31, names: [] });
  const months = parseField(month, { min: 1, max: 12, names: MONTHS });
  const weekdays = parseField(weekday, { min: 0, max: 7, names: WEEKDAYS });
  if (!minutes.ok) return minutes;
  if (!hours.ok) return hours;
  if (!days.ok) return days;
  if (!months.ok) return months;
  if (!weekdays.ok) return weekdays;
  const isFree = (field: string): boolean => field.startsWith("*") || field === "?";
  return ok({
    minutes: minutes.value,
    hours: hours.value,
    days: days.value,
    months: months.value,
    weekdays: new Set([...weekdays.value].map((value) => value % 7)),
    eitherDay: !isFree(day) && !isFree(weekday),
  });
}

interface Range {
  readonly min: number;
  readonly max: number;
  /** Names of the values, the first one of `min`. */
  readonly names: readonly string[];
}

function parseField(text: string, range: Range): Result<ReadonlySet<number>, string> {
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const [span = "", step = "1", ...more] = part.split("/");
    const [low, high, ...rest] = span === "*" || span === "?" ? [range.min, range.max] : bounds(span, range);
    const stepBy = Number(step);
    const isWrong = more.length > 0 || rest.length > 0 || !Number.isInteger(stepBy) || stepBy < 1;
    if (isWrong || low === undefined || Number.isNaN(low)) return err(`failed to parse ${JSON.stringify(part)}`);
    const last = high ?? (part.includes("/") ? range.max : low);
    if (Number.isNaN(last) || low < range.min || last > range.max || last < low) {
      return err(`${JSON.stringify(part)} is not within ${range.min} to ${range.max}`);
    }
    for (let value = low; value <= last; value += stepBy) values.add(value);
  }
  return ok(values);
}

function bounds(span: string, range: Range): number[] {
  return span.split("-").map((word) => {
    const named = range.names.indexOf(word.toLowerCase());
    if (named >= 0) return named + range.min;
    return /^\d+$/.test(word) ? Number(word) : Number.NaN;
  });
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** A day that exists at all comes within a leap year's cycle. */
const DAYS_SEARCHED_MAX = 8 * 366;

/** The first time after `afterMs` that the schedule names; undefined for a day such as the 30th of February. */
export function nextTime(schedule: Schedule, afterMs: number, timeZone: string): number | undefined {
  const startWallMs = toWall(afterMs, timeZone);
  const firstMs = Math.floor(startWallMs / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
  for (let index = 0; index < DAYS_SEARCHED_MAX; index += 1) {
    const dayMs = Math.floor(firstMs / DAY_MS) * DAY_MS + index * DAY_MS;
    if (!isDay(schedule, new Date(dayMs))) continue;
    for (const hour of [...schedule.hours].sort(ascending)) {
      for (const minute of [...schedule.minutes].sort(ascending)) {
        const wallMs = dayMs + (hour * 60 + minute) * MINUTE_MS;
        const atMs = wallMs < firstMs ? undefined : fromWall(wallMs, timeZone);
        if (atMs !== undefined && atMs > afterMs) return atMs;
      }
    }
  }
  return undefined;
}

function ascending(a: number, b: number): number {
  return a - b;
}

function isDay(schedule: Schedule, date: Date): boolean {
  if (!schedule.months.has(date.getUTCMonth() + 1)) return false;
  const day = schedule.days.has(date.getUTCDate());
  const weekday = schedule.weekdays.has(date.getUTCDay());
  return schedule.eitherDay ? day || weekday : day && weekday;
}

/** What the clock on the wall says, as if it were UTC. */
function toWall(atMs: number, timeZone: string): number {
  if (timeZone === "UTC") return atMs;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
  const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
  const seconds = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
  return seconds + (((atMs % 1000) + 1000) % 1000);
}

/** Undefined for a time that a clock put forward leaves out. */
function fromWall(wallMs: number, timeZone: string): number | undefined {
  let atMs = wallMs;
  for (let round = 0; round < 2; round += 1) atMs -= toWall(atMs, timeZone) - wallMs;
  return toWall(atMs, timeZone) === wallMs ? atMs : undefined;
}
