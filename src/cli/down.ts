// `weft down`: stops the cluster, or cleans up after one that crashed.

import type { Command } from "commander";
import { dataDirAt, isDataDir } from "../cluster/data-dir.ts";
import { bringDown } from "../cluster/down.ts";
import { cleanLeftovers } from "../cluster/leftovers.ts";
import { examples } from "./command.ts";
import { asFailure, dataDirOption } from "./data-dir.ts";

export function define(command: Command): void {
  command.addOption(dataDirOption()).action(async (options: { dataDir: string }) => {
    const dir = dataDirAt(options.dataDir);
    if (!isDataDir(options.dataDir)) {
      console.log(`Nothing runs on ${dir.root}.`);
      return;
    }
    const outcome = await bringDown(dir, () => cleanLeftovers(dir));
    if (!outcome.ok) throw asFailure(outcome.error);
    switch (outcome.value.kind) {
      case "stopped":
        console.log(
          `Stopped process ${outcome.value.pid}. Its state stays in ${dir.root}; "weft up" goes on from there.`,
        );
        break;
      case "cleaned":
        console.log(`Process ${outcome.value.pid} had crashed; what it left running was ended.`);
        break;
      case "not-running":
        console.log(`Nothing runs on ${dir.root}.`);
        break;
    }
  });
  examples(command, ["weft down", "weft down --data-dir .weft/demo"]);
}
