// Bun, where scripts/install-tools.js has put it or the PATH has one.

import { spawnSync } from "node:child_process";
import path from "node:path";

export interface BunBinary {
  readonly command: string;
  readonly version: string;
}

export function findBun(): BunBinary | undefined {
  for (const command of [path.join(import.meta.dirname, "../.tools/bin/bun"), "bun"]) {
    const answer = spawnSync(command, ["--version"], { encoding: "utf8" });
    if (answer.status === 0) return { command, version: answer.stdout.trim() };
  }
  return undefined;
}
