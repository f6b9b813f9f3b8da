// `weft kubeconfig`

import { existsSync } from "node:fs";
import type { Command } from "commander";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption, existingDataDir } from "./data-dir.ts";

export function define(command: Command): void {
  command.addOption(dataDirOption()).action((options: { dataDir: string }) => {
    const dir = existingDataDir(options.dataDir);
    if (!existsSync(dir.kubeconfig)) {
      throw new CommandFailure(`${dir.kubeconfig} is not there yet`, { next: 'Start the cluster with "weft up -d".' });
    }
    console.log(dir.kubeconfig);
  });
  examples(command, [
    'export KUBECONFIG="$(weft kubeconfig)"',
    'kubectl --kubeconfig "$(weft kubeconfig)" get pods -A',
  ]);
}
