// Where the counterpart is: the PATH's Envoy, or the one that pip put beside the benchmark.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

export interface EnvoyBinary {
  readonly command: string;
  readonly version: string;
}

export function findEnvoy(): EnvoyBinary | undefined {
  const beside = path.join(import.meta.dirname, "envoy/envoy/_bin/envoy");
  for (const command of [beside, "envoy"]) {
    if (command === beside && !fs.existsSync(beside)) continue;
    const answer = spawnSync(command, ["--version"], { encoding: "utf8" });
    const version = /\/(\d+\.\d+\.\d+)[/-]/.exec(answer.stdout ?? "")?.[1];
    if (version !== undefined) return { command, version };
  }
  return undefined;
}
