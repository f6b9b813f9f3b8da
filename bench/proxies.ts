// The contenders: how each is started for a case, with one worker.

import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { proxyCommand } from "../src/cluster/proxy-command.ts";
import { PROXY_ENVIRONMENT } from "../src/node/prepare.ts";
import type { CaseOptions } from "./bootstrap.ts";
import type { BunBinary } from "./bun.ts";
import type { BenchCase } from "./cases.ts";
import type { EnvoyBinary } from "./envoy.ts";
import type { ContenderName } from "./figures.ts";
import { type NginxBinary, nginxArguments } from "./nginx.ts";

export interface Contender {
  readonly name: ContenderName;
  /** Undefined: it can't do this. */
  command(entry: BenchCase, options: CaseOptions): readonly string[] | undefined;
  readonly environment: Readonly<Record<string, string>>;
}

export interface Found {
  readonly envoy: EnvoyBinary | undefined;
  readonly nginx: NginxBinary | undefined;
  readonly bun: BunBinary | undefined;
}

export async function contenders(work: string, found: Found): Promise<readonly Contender[]> {
  const { bun, envoy, nginx } = found;
  const weft = await weftCommand();
  const bootstrap = (name: string, entry: BenchCase, options: CaseOptions) =>
    write(work, `${name}.json`, JSON.stringify(entry.bootstrap(options)));
  const list: Contender[] = [
    {
      name: "weft",
      environment: PROXY_ENVIRONMENT,
      command: (entry, options) => [...weft, "proxy", "-c", bootstrap("weft", entry, options)],
    },
  ];
  if (envoy !== undefined) {
    const args = ["--concurrency", "1", "--use-dynamic-base-id", "-l", "error"];
    list.push({
      name: "envoy",
      environment: {},
      command: (entry, options) => [envoy.command, "-c", bootstrap("envoy", entry, options), ...args],
    });
  }
  if (nginx !== undefined) {
    list.push({
      name: "nginx",
      environment: {},
      command: (entry, options) => {
        const config = entry.floor?.(options);
        return config === undefined
          ? undefined
          : [nginx.command, ...nginxArguments(work, write(work, "floor.conf", config))];
      },
    });
  }
  if (bun !== undefined) {
    // The bundle is the last of the words that start it on Node.
    list.push({
      name: "bun",
      environment: PROXY_ENVIRONMENT,
      command: (entry, options) => [bun.command, ...weft.slice(-1), "proxy", "-c", bootstrap("bun", entry, options)],
    });
  }
  return list;
}

/** As the product starts it. */
async function weftCommand(): Promise<readonly string[]> {
  const found = await proxyCommand(path.join(import.meta.dirname, "../src/main.ts"));
  if (!found.ok) throw new Error(`${found.error.message} ${found.error.next}`);
  return found.value;
}

export interface Started {
  readonly child: ChildProcess;
  /** Its last lines, for when it did not come up. */
  log(): string;
  stop(): Promise<void>;
}

export function start(
  work: string,
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
): Started {
  const logFile = path.join(work, "contender.log");
  const output = fs.openSync(logFile, "w");
  const [program = "", ...args] = command;
  const child = spawn(program, args, {
    stdio: ["ignore", output, output],
    env: { ...process.env, ...environment },
  });
  fs.closeSync(output);
  return {
    child,
    log: () => fs.readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-10).join("\n"),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}

export function write(work: string, name: string, text: string): string {
  const file = path.join(work, name);
  fs.writeFileSync(file, text);
  return file;
}
