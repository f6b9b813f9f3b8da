// Load by wrk, which keeps its connections and says how many requests it made.

import { spawn, spawnSync } from "node:child_process";

export interface LoadRequest {
  readonly wrk: string;
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: number;
}

export function findLoadTool(): string | undefined {
  const found = spawnSync("wrk", ["-v"], { encoding: "utf8" });
  return found.error === undefined ? "wrk" : undefined;
}

export async function load(request: LoadRequest): Promise<LoadResult> {
  const child = spawn(
    request.wrk,
    ["-t", "1", "-c", String(request.connections), "-d", `${request.seconds}s`, "--latency", request.url],
    { stdio: ["ignore", "pipe", "inherit"], timeout: (request.seconds + 30) * 1000 },
  );
  let text = "";
  child.stdout.setEncoding("utf8");
  for await (const chunk of child.stdout) text += String(chunk);
  return parse(text);
}

function parse(text: string): LoadResult {
  const failed = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? "0";
  const socketErrors =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  return {
    requests: Number(/(\d+) requests in/.exec(text)?.[1] ?? 0),
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1] ?? 0),
    p50Ms: milliseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(text)),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(text)),
    failures: socketErrors.reduce((sum, count) => sum + Number(count), Number(failed)),
  };
}

function milliseconds(match: RegExpExecArray | null): number {
  const scale = { us: 0.001, ms: 1, s: 1000 }[match?.[2] ?? "ms"] ?? 1;
  return Number(match?.[1] ?? Number.NaN) * scale;
}
