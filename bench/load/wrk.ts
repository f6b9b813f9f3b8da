// Saturating load by wrk, which keeps its connections and says how many requests it made. Its latencies are those of a
// closed loop: they say how long the queue is, nothing of a fixed rate.

import { spawn, spawnSync } from "node:child_process";

export interface WrkRequest {
  readonly pinned: readonly string[];
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
}

export interface WrkResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers other than 2xx and 3xx. */
  readonly refused: number;
  readonly socketErrors: number;
}

export function hasWrk(): boolean {
  return spawnSync("wrk", ["-v"], { encoding: "utf8" }).error === undefined;
}

export async function runWrk(request: WrkRequest): Promise<WrkResult> {
  const { connections, pinned, seconds, url } = request;
  const [program = "wrk", ...args] = [...pinned, "wrk", "-t", "1", "-c", String(connections)];
  const child = spawn(program, [...args, "-d", `${Math.max(1, Math.round(seconds))}s`, "--latency", url], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: (seconds + 30) * 1000,
  });
  let text = "";
  child.stdout.setEncoding("utf8");
  for await (const chunk of child.stdout) text += String(chunk);
  return parseWrk(text);
}

export function parseWrk(text: string): WrkResult {
  const socketErrors =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  return {
    requests: Number(/(\d+) requests in/.exec(text)?.[1] ?? 0),
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1] ?? 0),
    p50Ms: milliseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(text)),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(text)),
    refused: Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0),
    socketErrors: socketErrors.reduce((sum, count) => sum + Number(count), 0),
  };
}

function milliseconds(match: RegExpExecArray | null): number {
  const scale = { us: 0.001, ms: 1, s: 1000 }[match?.[2] ?? "ms"] ?? 1;
  return Number(match?.[1] ?? Number.NaN) * scale;
}
