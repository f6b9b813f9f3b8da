// `weft agent`: Envoy as a sidecar, and what it needs beside it; in the proxy's bundle, which reads its own arguments.

import type { Command } from "commander";
import { becomeBundle, definePassThrough } from "./bundle.ts";

export function define(command: Command): void {
  definePassThrough(command, "arguments of the agent").action((args: readonly string[]) =>
    becomeBundle(["agent", ...args]),
  );
}
