// `weft version`

import type { Command } from "commander";
import { examples } from "./command.ts";
import { formatOption, printStructured, readFormat } from "./output.ts";
import { packageVersion } from "./package.ts";

export function define(command: Command): void {
  command.addOption(formatOption()).action(async (options: { output?: string }) => {
    const value = {
      weft: packageVersion(),
      node: process.versions.node,
      platform: `${process.platform}-${process.arch}`,
    };
    const format = readFormat(options.output);
    if (format === "table") console.log(`weft ${value.weft} (Node ${value.node}, ${value.platform})`);
    else await printStructured(value, format);
  });
  examples(command, ["weft version", "weft version -o json"]);
}
