// `weft proxy`: becomes the proxy's bundle, which reads its own arguments.

import { spawn } from "node:child_process";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { proxyCommand } from "../cluster/proxy-command.ts";
import { PROXY_ENVIRONMENT } from "../node/prepare.ts";
import { CommandFailure } from "./command.ts";
import { asFailure } from "./data-dir.ts";

/** The launcher does next to nothing, and stays. */
const LAUNCHER_FLAGS = ["--max-semi-space-size=1", "--single-threaded-gc", "--jitless", "--max-lazy"];
const ENDS_AT_ONCE = /^(-h|--help|--version|validate|--mode=validate)$/;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const;

export function define(command: Command): void {
  command
    // The proxy's own help and version are the ones that know its options.
    .helpOption(false)
    .allowUnknownOption(true)
    .passThroughOptions(true)
    .argument("[args...]", "arguments of the proxy")
    .action(proxy);
}

async function proxy(args: readonly string[]): Promise<void> {
  const found = await proxyCommand(resolve(process.argv[1] ?? ""));
  if (!found.ok) throw asFailure(found.error);
  const [program = process.execPath, ...before] = found.value;
  // A sidecar is restarted with its pod; a proxy of one's own is replaced in flight by its launcher.
  const launcher = join(dirname(dirname(resolve(process.argv[1] ?? ""))), "bin", "proxy-launcher.js");
  const direct = args[0] === "sidecar" || args.some((word) => ENDS_AT_ONCE.test(word));
  const words = direct
    ? [...before, "proxy", ...args]
    : [...LAUNCHER_FLAGS, launcher, program, ...before, "proxy", ...args];
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
