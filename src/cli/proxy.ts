// `weft proxy`: hands over to the proxy's bundle, which reads its own arguments.

import { spawn } from "node:child_process";
import { resolve } from "node:path";
import type { Command } from "commander";
import { proxyCommand } from "../cluster/proxy-command.ts";
import { CommandFailure, examples } from "./command.ts";
import { asFailure } from "./data-dir.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export function define(command: Command): void {
  command
    .description(
      'Runs weft\'s proxy: "sidecar" as a pod\'s container does, configured by its environment; "-c FILE" on an Envoy\nbootstrap of your own, static or with an ADS server.',
    )
    .allowUnknownOption(true)
    .passThroughOptions(true)
    .argument("[args...]", "arguments of the proxy")
    .action(proxy);
  examples(command, [
    "weft proxy -c bootstrap.yaml",
    "weft proxy -c bootstrap.yaml -l debug",
    "weft proxy sidecar --domain production.svc.cluster.local",
  ]);
}

async function proxy(args: readonly string[]): Promise<void> {
  const found = await proxyCommand(resolve(process.argv[1] ?? ""));
  if (!found.ok) throw asFailure(found.error);
  const [program = process.execPath, ...before] = found.value;
  const child = spawn(program, [...before, "proxy", ...args], { stdio: "inherit" });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  const { promise, resolve: ended, reject } = Promise.withResolvers<number>();
  child.on("error", (error) => reject(new CommandFailure(`the proxy could not be started: ${error.message}`)));
  child.on("exit", (code, signal) => ended(signal === null ? (code ?? 1) : 1));
  process.exit(await promise);
}
