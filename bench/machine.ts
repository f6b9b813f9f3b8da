// On what the figures were taken.

import { spawnSync } from "node:child_process";
import os from "node:os";
import type { Found } from "./proxies.ts";

export interface Machine {
  readonly node: string;
  readonly envoy: string;
  readonly nginx: string;
  readonly bun: string;
  readonly kernel: string;
  readonly cores: number;
  readonly cpu: string;
  readonly pinning: string;
  readonly commit: string;
}

const ABSENT = "not installed";

export function machine(found: Found, pinning: string): Machine {
  const commit = spawnSync("git", ["describe", "--always", "--dirty"], { cwd: import.meta.dirname, encoding: "utf8" });
  return {
    node: process.versions.node,
    envoy: found.envoy?.version ?? ABSENT,
    nginx: found.nginx?.version ?? ABSENT,
    bun: found.bun?.version ?? ABSENT,
    kernel: os.release(),
    cores: os.cpus().length,
    cpu: os.cpus()[0]?.model ?? "unknown",
    pinning,
    commit: commit.status === 0 ? commit.stdout.trim() : "unknown",
  };
}
