// The walk table on weft's bundle under Bun, as a report: what does not hold there is printed, and docs/bun.md says why.
//   node scripts/install-tools.js bun; npm run report:bun
//   npm run report:bun -- node       the same on Node, where nothing may be listed

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBun } from "../../bench/bun.ts";
import { proxyCommand } from "../../src/cluster/proxy-command.ts";
import { startAuthorizer } from "./authorizer.ts";
import type { WalkCase } from "./case.ts";
import { walkCases } from "./cases.ts";
import { checkAnswer, checkLog, checkStats } from "./check.ts";
import { freePorts, startOrigin, type WalkOrigin } from "./origin.ts";
import { ask, authorityOf, bootstrapOf, listenerNames, type TablePorts } from "./table.ts";

const CASE_TIMEOUT_MS = 10_000;
const LOG_SETTLES_MS = 500;

await report(process.argv[2] === "node" ? "node" : "bun");

async function report(on: "bun" | "node"): Promise<void> {
  const found = await proxyCommand(join(import.meta.dirname, "../../src/main.ts"));
  assert.ok(found.ok);
  const bun = findBun();
  if (on === "bun" && bun === undefined) {
    console.error("report: Bun is not installed. Next: node scripts/install-tools.js bun");
    process.exitCode = 2;
    return;
  }
  // The bundle is the last of the words that start it on Node.
  const command = on === "bun" && bun !== undefined ? [bun.command, ...found.value.slice(-1)] : found.value;
  const directory = mkdtempSync(join(tmpdir(), "weft-report-"));
  const origin = await startOrigin();
  const authorizer = await startAuthorizer();
  const cases = walkCases();
  const log = join(directory, "access.log");
  const names = listenerNames(cases);
  const [admin = 0, refusing = 0, ...free] = await freePorts(names.length + 2);
  const listeners = new Map(names.map((name, index) => [name, free[index] ?? 0]));
  const { httpPort: authz, grpcPort: authzGrpc } = authorizer;
  const ports = { listeners, admin, refusing, origin: origin.port, authz, authzGrpc };
  const file = join(directory, "bootstrap.json");
  writeFileSync(file, JSON.stringify(bootstrapOf(cases, ports, log)));
  const child = start([...command, "proxy", "-c", file]);
  try {
    await ready(child, ports.admin);
    const failures = await failuresOf(cases, { ports, origin, log });
    for (const { name, why } of failures) console.log(`${name}\n    ${why}`);
    console.log(`${cases.length} cases on ${on === "bun" ? `Bun ${bun?.version}` : "Node"}, ${failures.length} failed`);
    process.exitCode = failures.length === 0 ? 0 : 1;
  } finally {
    child.kill("SIGKILL");
    origin.close();
    authorizer.close();
    rmSync(directory, { recursive: true });
  }
}

function start(words: readonly string[]): ChildProcess {
  const [program = "", ...args] = words;
  return spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
}

interface Failure {
  readonly name: string;
  readonly why: string;
}

async function failuresOf(
  cases: readonly WalkCase[],
  around: { readonly ports: TablePorts; readonly origin: WalkOrigin; readonly log: string },
): Promise<readonly Failure[]> {
  const { ports, origin, log } = around;
  const failures: Failure[] = [];
  const note = (name: string, error: unknown) =>
    failures.push({ name, why: (error instanceof Error ? error.message : String(error)).split("\n").join("\n    ") });
  for (const one of cases) {
    try {
      origin.take();
      const answer = await within(ask(one, ports));
      checkAnswer(one.expect, answer, origin.take());
      await checkStats(one, (name) => stat(ports.admin, name));
    } catch (error) {
      note(one.name, error);
    }
  }
  await new Promise((resolve) => setTimeout(resolve, LOG_SETTLES_MS));
  const lines = readFileSync(log, "utf8").split("\n");
  for (const one of cases) {
    try {
      checkLog(one.expect, authorityOf(one), lines);
    } catch (error) {
      note(`${one.name}, its log line`, error);
    }
  }
  return failures;
}

function within<T>(promise: Promise<T>): Promise<T> {
  const late = new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(new Error(`no answer within ${CASE_TIMEOUT_MS} ms`)), CASE_TIMEOUT_MS).unref();
  });
  return Promise.race([promise, late]);
}

async function stat(port: number, name: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${port}/stats?filter=^${name.replaceAll(".", "\\.")}$`)).text();
  return text.trim() === "" ? undefined : Number(text.trim().split(": ").at(-1));
}

async function ready(child: ChildProcess, port: number): Promise<void> {
  for (let tries = 0; tries < 400 && child.exitCode === null; tries += 1) {
    const answer = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
    if (answer?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error("the proxy was not ready within 10 s");
}
