// The contenders: how each is started on a bootstrap file, with one worker.

import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { proxyCommand } from "../src/cluster/proxy-command.ts";
import { PROXY_ENVIRONMENT } from "../src/node/prepare.ts";
import type { EnvoyBinary } from "./envoy.ts";

export interface Contender {
  readonly name: "weft" | "envoy";
  start(bootstrap: string): ChildProcess;
  /** Its last lines, for when it did not come up. */
  log(): string;
}

export async function weftContender(work: string): Promise<Contender> {
  // As the product starts it.
  const found = await proxyCommand(path.join(import.meta.dirname, "../src/main.ts"));
  if (!found.ok) throw new Error(`${found.error.message} ${found.error.next}`);
  const [program = process.execPath, ...before] = found.value;
  return {
    name: "weft",
    log: () => lastLines(work, "weft.log"),
    start: (bootstrap) =>
      spawn(program, [...before, "proxy", "-c", writeFile(work, "weft.json", bootstrap)], {
        stdio: ["ignore", ...logFiles(work, "weft.log")],
        env: { ...process.env, ...PROXY_ENVIRONMENT },
      }),
  };
}

export function envoyContender(work: string, envoy: EnvoyBinary): Contender {
  return {
    name: "envoy",
    log: () => lastLines(work, "envoy.log"),
    start: (bootstrap) =>
      spawn(
        envoy.command,
        ["-c", writeFile(work, "envoy.json", bootstrap), "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"],
        { stdio: ["ignore", ...logFiles(work, "envoy.log")] },
      ),
  };
}

function logFiles(work: string, name: string): [number, number] {
  const file = fs.openSync(path.join(work, name), "w");
  return [file, file];
}

function lastLines(work: string, name: string): string {
  return fs.readFileSync(path.join(work, name), "utf8").trimEnd().split("\n").slice(-10).join("\n");
}

function writeFile(work: string, name: string, text: string): string {
  const file = path.join(work, name);
  fs.writeFileSync(file, text);
  return file;
}
