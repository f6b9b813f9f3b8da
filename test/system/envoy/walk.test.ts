// The walk table on real Envoy: what weft's proxy is compared with.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Authorizer, startAuthorizer } from "../../walk/authorizer.ts";
import { walkCases } from "../../walk/cases.ts";
import { checkAnswer, checkLog, checkStats } from "../../walk/check.ts";
import { freePorts, startOrigin, type WalkOrigin } from "../../walk/origin.ts";
import { ask, authorityOf, bootstrapOf, listenerNames, type TablePorts } from "../../walk/table.ts";

const beside = join(import.meta.dirname, "../../../bench/envoy/envoy/_bin/envoy");
const envoy = process.env["WEFT_ENVOY"] ?? (existsSync(beside) ? beside : "envoy");
const skip = spawnSync(envoy, ["--version"]).status === 0 ? false : `${envoy} is not installed (WEFT_ENVOY names it)`;

describe("the walk table on Envoy", { skip }, () => {
  const cases = walkCases();
  const directory = mkdtempSync(join(tmpdir(), "weft-walk-"));
  const log = join(directory, "access.log");
  const running: { authorizer?: Authorizer; child?: ChildProcess; origin?: WalkOrigin } = {};
  let ports: TablePorts = { listeners: new Map(), admin: 0, origin: 0, refusing: 0, authz: 0, authzGrpc: 0 };
  before(async () => {
    running.origin = await startOrigin();
    running.authorizer = await startAuthorizer();
    const { httpPort: authz, grpcPort: authzGrpc } = running.authorizer;
    const names = listenerNames(cases);
    const [admin = 0, refusing = 0, ...free] = await freePorts(names.length + 2);
    const listeners = new Map(names.map((name, index) => [name, free[index] ?? 0]));
    ports = { listeners, admin, refusing, authz, authzGrpc, origin: running.origin.port };
    const file = join(directory, "envoy.json");
    writeFileSync(file, JSON.stringify(bootstrapOf(cases, ports, log)));
    const flags = ["--concurrency", "1", "--use-dynamic-base-id", "-l", "error", "--file-flush-interval-msec", "50"];
    running.child = spawn(envoy, ["-c", file, ...flags], { stdio: ["ignore", "inherit", "inherit"] });
    await ready(admin);
  });
  after(() => {
    running.child?.kill("SIGKILL");
    running.origin?.close();
    running.authorizer?.close();
    rmSync(directory, { recursive: true });
  });
  for (const one of cases) {
    it(one.name, { todo: one.differs ?? false }, async () => {
      running.origin?.take();
      const answer = await ask(one, ports);
      checkAnswer(one.expect, answer, running.origin?.take() ?? []);
      await checkStats(one, (name) => stat(ports.admin, name));
    });
  }
  it("logs each with its flags, details and route", async () => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const lines = readFileSync(log, "utf8").split("\n");
    for (const one of cases) if (one.differs === undefined) checkLog(one.expect, authorityOf(one), lines);
  });
});

async function stat(port: number, name: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${port}/stats?filter=^${name.replaceAll(".", "\\.")}$`)).text();
  return text.trim() === "" ? undefined : Number(text.trim().split(": ").at(-1));
}

async function ready(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const answer = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
    if (answer?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error("Envoy was not ready within 5 s");
}
