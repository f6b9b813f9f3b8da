// On what the figures were taken.

import { spawnSync } from "node:child_process";
import os from "node:os";
import type { EnvoyBinary } from "./envoy.ts";

export interface Machine {
  readonly node: string;
  readonly envoy: string;
  readonly kernel: string;
  readonly cores: number;
  readonly cpu: string;
  readonly commit: string;
}

export function machine(envoy: EnvoyBinary | undefined): Machine {
  const commit = spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: import.meta.dirname, encoding: "utf8" });
  return {
    node: process.versions.node,
    envoy: envoy?.version ?? "not installed",
    kernel: os.release(),
    cores: os.availableParallelism(),
    cpu: os.cpus()[0]?.model ?? "unknown",
    commit: commit.status === 0 ? commit.stdout.trim() : "unknown",
  };
}
