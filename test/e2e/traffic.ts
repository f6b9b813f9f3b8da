// Requests of a test, sent from inside a pod by a real client, and what came back of them.

import assert from "node:assert/strict";
import { join } from "node:path";
import { isRecord, parseJson } from "../../src/base/json.ts";
import { type Cluster, root } from "./cluster.ts";
import { binomialInterval } from "./statistics.ts";

const CLIENT = join(root, "test/e2e/apps/client.js");
const EXEC_TIMEOUT_MS = 150_000;

export interface Plan {
  readonly url: string;
  readonly count?: number;
  readonly durationMs?: number;
  readonly concurrency?: number;
  readonly spacingMs?: number;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly keepAlive?: boolean;
  /** Past the proxy that the environment names. */
  readonly direct?: boolean;
  /** With all headers and the body. */
  readonly full?: boolean;
}

export interface Answer {
  readonly atMs: number;
  readonly tookMs: number;
  readonly status: number | undefined;
  readonly version: string | undefined;
  readonly pod: string | undefined;
  readonly error: string | undefined;
  readonly body: string;
  readonly cause: string | undefined;
  readonly overloaded: boolean;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface Sender {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

export async function send(cluster: Cluster, from: Sender, plan: Plan): Promise<readonly Answer[]> {
  const command = [process.execPath, CLIENT, JSON.stringify(plan)];
  const outcome = await cluster.exec(from, command, { timeoutMs: EXEC_TIMEOUT_MS });
  const parsed = parseJson(outcome.stdout.trim().split("\n").at(-1) ?? "");
  assert.ok(
    outcome.code === 0 && parsed.ok && Array.isArray(parsed.value),
    `the client in ${from.pod} exited with ${outcome.code}: ${outcome.stdout.slice(0, 500)}${outcome.stderr.slice(0, 2000)}`,
  );
  return parsed.value.map(readAnswer);
}

/** One request, with everything that came back. */
export async function ask(cluster: Cluster, from: Sender, plan: Plan): Promise<Answer> {
  const [answer] = await send(cluster, from, { ...plan, count: 1, full: true });
  assert.ok(answer !== undefined, "one answer");
  return answer;
}

function readAnswer(value: unknown): Answer {
  assert.ok(isRecord(value));
  const headers = isRecord(value["headers"]) ? value["headers"] : {};
  return {
    atMs: Number(value["atMs"]),
    tookMs: Number(value["tookMs"]),
    status: typeof value["status"] === "number" ? value["status"] : undefined,
    version: text(value["version"]),
    pod: text(value["pod"]),
    error: text(value["error"]),
    body: text(value["body"]) ?? "",
    cause: text(value["cause"]) ?? text(headers["x-weft-cause"]),
    overloaded: (value["overloaded"] ?? headers["x-envoy-overloaded"]) !== undefined,
    headers,
  };
}

function text(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : String(value);
}

/** How often each outcome came: `200 v1`, `503`, `ECONNRESET`. */
export function tally(
  answers: readonly Answer[],
  key: (answer: Answer) => string = outcomeOf,
): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[key(answer)] = (counts[key(answer)] ?? 0) + 1;
  return counts;
}

export function outcomeOf(answer: Answer): string {
  return answer.error ?? `${answer.status}${answer.version === undefined ? "" : ` ${answer.version}`}`;
}

export function allOk(answers: readonly Answer[]): void {
  const bad = answers.filter((answer) => answer.status !== 200);
  const shown = bad.slice(0, 3).map((answer) => JSON.stringify(answer));
  assert.equal(
    bad.length,
    0,
    `${bad.length} of ${answers.length} failed: ${JSON.stringify(tally(bad))} ${shown.join(" ")}`,
  );
}

/** The share of answers that one version gave, by the exact binomial interval of 99.9 %. */
export function assertShare(answers: readonly Answer[], version: string, probability: number): void {
  allOk(answers);
  const count = answers.filter((answer) => answer.version === version).length;
  const { low, high } = binomialInterval(answers.length, probability);
  assert.ok(
    count >= low && count <= high,
    `${count} of ${answers.length} from ${version}; at ${probability * 100} % it is ${low} to ${high} (${JSON.stringify(tally(answers))})`,
  );
}
