// Commands that are the proxy's bundle: they become it, and it reads its own arguments.

import { spawn } from "node:child_process";
import { resolve } from "node:path";
import type { Command } from "commander";
import { proxyCommand } from "../cluster/proxy-command.ts";
import { PROXY_ENVIRONMENT } from "../node/prepare.ts";
import { CommandFailure } from "./command.ts";
import { asFailure } from "./data-dir.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const;

/** The bundle's own help and version are the ones that know its options. */
export function definePassThrough(command: Command, words: string): Command {
  return command.helpOption(false).allowUnknownOption(true).passThroughOptions(true).argument("[args...]", words);
}

/** `launcher`: a program of Node's that stands between, with its flags, and is given the rest as its arguments. */
export async function becomeBundle(args: readonly string[], launcher: readonly string[] = []): Promise<void> {
  const found = await proxyCommand(resolve(process.argv[1] ?? ""));
  if (!found.ok) throw asFailure(found.error);
  const [program = process.execPath, ...before] = found.value;
  const words = launcher.length === 0 ? [...before, ...args] : [...launcher, program, ...before, ...args];
  const env = { ...PROXY_ENVIRONMENT, ...process.env };
  if (typeof process.execve === "function") {
    // It says that it is experimental; the user has no use for that.
    process.removeAllListeners("warning");
    // One process, the proxy's: nobody has to hand signals on, and nothing of the command line stays in memory.
    process.execve(program, [program, ...words], env);
  }
  const child = spawn(program, words, { stdio: "inherit", env });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  const { promise, resolve: ended, reject } = Promise.withResolvers<number>();
  child.on("error", (error) => reject(new CommandFailure(`the proxy could not be started: ${error.message}`)));
  child.on("exit", (code, signal) => ended(signal === null ? (code ?? 1) : 1));
  process.exit(await promise);
}
