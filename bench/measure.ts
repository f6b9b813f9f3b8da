// One run: start, warm up, load, read what the kernel says of the process, stop.

import type { ChildProcess } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import type { BenchCase } from "./cases.ts";
import { load } from "./load.ts";
import type { Contender } from "./proxies.ts";

export interface Figures {
  readonly cpuMicrosPerRequest: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly readyMs: number;
  readonly idlePrivateMb: number;
  readonly loadedPrivateMb: number;
  readonly idleResidentMb: number;
  readonly loadedResidentMb: number;
  readonly failures: number;
}

export interface MeasureOptions {
  readonly originPort: number;
  readonly seconds: number;
  readonly wrk: string;
  readonly work: string;
}

const READY_TIMEOUT_MS = 15_000;
const TICKS_PER_SECOND = 100;

export async function measure(entry: BenchCase, contender: Contender, options: MeasureOptions): Promise<Figures> {
  const [frontPort, middlePort, adminPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const bootstrap = await entry.bootstrap({
    frontPort,
    middlePort,
    adminPort,
    originPort: options.originPort,
    work: options.work,
  });
  const startedMs = performance.now();
  const child = contender.start(JSON.stringify(bootstrap));
  try {
    const url = `http://127.0.0.1:${frontPort}${entry.path}`;
    await waitUntilServing(url, child, contender);
    const readyMs = performance.now() - startedMs;
    const idle = memory(child);
    const request = { wrk: options.wrk, url, connections: entry.connections };
    await load({ ...request, seconds: Math.max(1, Math.floor(options.seconds / 4)) });
    const before = cpuSeconds(child);
    const result = await load({ ...request, seconds: options.seconds });
    const spentSeconds = cpuSeconds(child) - before;
    const loaded = memory(child);
    return {
      cpuMicrosPerRequest: (spentSeconds * 1e6) / result.requests,
      requestsPerSecond: result.requestsPerSecond,
      p50Ms: result.p50Ms,
      p99Ms: result.p99Ms,
      readyMs,
      idlePrivateMb: idle.privateMb,
      loadedPrivateMb: loaded.privateMb,
      idleResidentMb: idle.residentMb,
      loadedResidentMb: loaded.residentMb,
      failures: result.failures,
    };
  } finally {
    await stop(child);
  }
}

/** User and system time of all the process's threads. */
function cpuSeconds(child: ChildProcess): number {
  const stat = fs.readFileSync(`/proc/${child.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function memory(child: ChildProcess): { readonly privateMb: number; readonly residentMb: number } {
  const rollup = fs.readFileSync(`/proc/${child.pid}/smaps_rollup`, "utf8");
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1] ?? 0);
  return { privateMb: kilobytes("Private_Dirty") / 1024, residentMb: kilobytes("Rss") / 1024 };
}

async function waitUntilServing(url: string, child: ChildProcess, contender: Contender): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadlineMs) {
    if (child.exitCode !== null)
      throw new Error(`${contender.name} ended with exit code ${child.exitCode} before it served:\n${contender.log()}`);
    if (await answers(url)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`no answer from ${url} within ${READY_TIMEOUT_MS} ms`);
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get(url, { agent: false, timeout: 1000 }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode === 200));
    });
    request.on("error", () => resolve(false));
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        address === null || typeof address === "string" ? reject(new Error("no port")) : resolve(address.port),
      );
    });
  });
}
