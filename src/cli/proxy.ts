// `weft proxy`

import type { Command } from "commander";
import { examples } from "./command.ts";

export function define(command: Command): void {
  command
    .allowUnknownOption(true)
    .argument("[args...]")
    .action(() => console.log("later"));
  examples(command, ["weft proxy sidecar --domain production.svc.cluster.local"]);
}
