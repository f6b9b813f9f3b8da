// The contenders: how each is started on a bootstrap file, with one worker.

import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import type { EnvoyBinary } from "./envoy.ts";

export interface Contender {
  readonly name: "weft" | "envoy";
  start(bootstrap: string): ChildProcess;
}

export async function weftContender(work: string): Promise<Contender> {
  const { bundleProxy } = await import("../scripts/bundle-proxy.js");
  const bundle = await bundleProxy();
  return {
    name: "weft",
    start: (bootstrap) =>
      spawn(process.execPath, [bundle, "proxy", "-c", writeFile(work, "weft.json", bootstrap)], {
        stdio: ["ignore", "ignore", fs.openSync(path.join(work, "weft.log"), "a")],
      }),
  };
}

export function envoyContender(work: string, envoy: EnvoyBinary): Contender {
  return {
    name: "envoy",
    start: (bootstrap) =>
      spawn(
        envoy.command,
        ["-c", writeFile(work, "envoy.json", bootstrap), "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"],
        { stdio: ["ignore", "ignore", fs.openSync(path.join(work, "envoy.log"), "a")] },
      ),
  };
}

function writeFile(work: string, name: string, text: string): string {
  const file = path.join(work, name);
  fs.writeFileSync(file, text);
  return file;
}
