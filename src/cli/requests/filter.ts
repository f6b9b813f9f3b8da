// Which of the remembered requests somebody wants to see.

import { parseDurationMs } from "../../api/istio/rules.ts";
import { CommandFailure } from "../command.ts";
import type { SeenRequest } from "./collect.ts";
import { calledOf, callerOf } from "./words.ts";

export interface FilterOptions {
  readonly from?: string;
  readonly to?: string;
  readonly code?: string;
  readonly slow?: string;
  readonly path?: string;
}

type Test = (seen: SeenRequest) => boolean;

/** Refuses what it doesn't understand. */
export function requestFilter({ from, to, code, slow, path }: FilterOptions): Test {
  const tests: Test[] = [];
  if (from !== undefined) tests.push(({ pod, request }) => isNamed(callerOf(pod, request), from));
  if (to !== undefined)
    tests.push(({ pod, request }) => isNamed(calledOf(pod, request), to) || isNamed(request.authority, to));
  if (code !== undefined) tests.push(codeTest(code));
  if (slow !== undefined) {
    const ms = readDuration(slow, "--slow");
    tests.push(({ request }) => request.durationMs >= ms);
  }
  if (path !== undefined) tests.push(({ request }) => request.path.startsWith(path));
  return (seen) => tests.every((holds) => holds(seen));
}

/** `shop/web` is meant by itself, by `web` and by `web.shop`. */
function isNamed(full: string, text: string): boolean {
  const bare = full.split(/[: ]/)[0] ?? "";
  const [namespace, name] = bare.split("/");
  return full === text || bare === text || name === text || `${name}.${namespace}` === text;
}

function codeTest(text: string): Test {
  const wanted = text.split(",").map((part) => part.trim().toLowerCase());
  for (const part of wanted) {
    if (/^(\d{3}|[1-5]xx|none)$/.test(part)) continue;
    throw new CommandFailure(`--code ${part} is no status`, {
      next: "Write 503, 5xx, or none, several with commas.",
      exitCode: 2,
    });
  }
  return ({ request: { code, protocol } }) =>
    wanted.some((part) => {
      if (part === "none") return code === 0 && protocol !== "TCP";
      return part.endsWith("xx") ? Math.floor(code / 100) === Number(part[0]) : code === Number(part);
    });
}

export function readDuration(text: string, option: string): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms >= 0) return ms;
  throw new CommandFailure(`${option} ${text} is no duration`, { next: "Write 200ms, 1.5s or 2m.", exitCode: 2 });
}
