// `weft proxy`: becomes the proxy's bundle, which reads its own arguments.

import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { becomeBundle, definePassThrough } from "./bundle.ts";

/** The launcher does next to nothing, and stays. */
const LAUNCHER_FLAGS = ["--max-semi-space-size=1", "--single-threaded-gc", "--jitless", "--max-lazy"];
const ENDS_AT_ONCE = /^(-h|--help|--version|validate|--mode=validate)$/;

export function define(command: Command): void {
  definePassThrough(command, "arguments of the proxy").action(proxy);
}

async function proxy(args: readonly string[]): Promise<void> {
  // A sidecar is restarted with its pod; a proxy of one's own is replaced in flight by its launcher.
  const launcher = join(dirname(dirname(resolve(process.argv[1] ?? ""))), "bin", "proxy-launcher.js");
  const direct = args[0] === "sidecar" || args.some((word) => ENDS_AT_ONCE.test(word));
  await becomeBundle(["proxy", ...args], direct ? [] : [...LAUNCHER_FLAGS, launcher]);
}
