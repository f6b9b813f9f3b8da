// Real Envoy as a child process.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const beside = join(import.meta.dirname, "../../../bench/envoy/envoy/_bin/envoy");
const envoy = process.env["WEFT_ENVOY"] ?? (existsSync(beside) ? beside : "envoy");

export interface RunningEnvoy {
  readonly pid: number;
  kill(): void;
}

export function skipWithoutEnvoy(): string | false {
  return spawnSync(envoy, ["--version"]).status === 0 ? false : `${envoy} is not installed (WEFT_ENVOY names it)`;
}

export async function startEnvoy(
  directory: string,
  bootstrap: Readonly<Record<string, unknown>>,
  adminPort: number,
): Promise<RunningEnvoy> {
  const file = join(directory, "envoy.json");
  writeFileSync(file, JSON.stringify(bootstrap));
  const flags = ["--concurrency", "1", "--use-dynamic-base-id", "-l", "off", "--file-flush-interval-msec", "50"];
  const child = spawn(envoy, ["-c", file, ...flags], { stdio: ["ignore", "inherit", "inherit"] });
  for (let tries = 0; tries < 800; tries += 1) {
    const answer = await fetch(`http://127.0.0.1:${adminPort}/ready`).catch(() => undefined);
    if (answer?.status === 200) return { pid: child.pid ?? 0, kill: () => child.kill("SIGKILL") };
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  child.kill("SIGKILL");
  throw new Error("Envoy was not ready within 20 s");
}
