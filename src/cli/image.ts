// `weft image`: which local command an image name stands for.

import type { Command } from "commander";
import { openDataDir } from "../cluster/data-dir.ts";
import { ImageTable } from "../node/images.ts";
import { CommandFailure, examples } from "./command.ts";
import { asFailure, dataDirOption, existingDataDir } from "./data-dir.ts";
import { formatOption, printStructured, readFormat, table } from "./output.ts";

export function define(command: Command): void {
  command.exitOverride();
  defineSet(command);
  defineList(command);
  defineDelete(command);
  examples(command, [
    "weft image set myapi:1.0 -- node server.js",
    "weft image set myapi:2.0 --workdir ./v2 -- npm start",
    "weft image list",
    "weft image delete myapi:1.0",
  ]);
}

function defineSet(parent: Command): void {
  const command = parent
    .command("set <name> <command...>")
    .summary("run a command for an image")
    .description('Says which command an image stands for. Options of the command itself come after "--".')
    .addOption(dataDirOption())
    .option("--workdir <dir>", "where the command runs", ".")
    .action(async (name: string, words: string[], options: { dataDir: string; workdir: string }) => {
      const { resolve } = await import("node:path");
      const dir = openDataDir(options.dataDir);
      if (!dir.ok) throw asFailure(dir.error);
      const set = new ImageTable(dir.value.images).set(name, {
        command: words,
        args: [],
        workingDirectory: resolve(options.workdir),
      });
      if (!set.ok) throw new CommandFailure(set.error);
      console.log(`${name} runs: ${words.join(" ")}`);
    });
  examples(command, ["weft image set myapi:1.0 -- node server.js"]);
}

function defineList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .summary("show the images")
    .addOption(dataDirOption())
    .addOption(formatOption())
    .action(async (options: { dataDir: string; output?: string }) => {
      const listed = new ImageTable(existingDataDir(options.dataDir).images).list();
      if (!listed.ok) throw new CommandFailure(listed.error, { next: "Correct the file, or delete it." });
      const format = readFormat(options.output);
      if (format !== "table") {
        await printStructured({ images: listed.value }, format);
        return;
      }
      if (listed.value.length === 0) console.log('No images yet. Add one: "weft image set NAME -- COMMAND…".');
      else {
        const rows = listed.value.map((image) => [
          image.name,
          [...image.command, ...image.args].join(" "),
          image.workingDirectory ?? "",
        ]);
        console.log(table(["NAME", "COMMAND", "WORKDIR"], rows));
      }
    });
  examples(command, ["weft image list", "weft image list -o json"]);
}

function defineDelete(parent: Command): void {
  const command = parent
    .command("delete <name>")
    .alias("rm")
    .summary("forget an image")
    .addOption(dataDirOption())
    .action((name: string, options: { dataDir: string }) => {
      const deleted = new ImageTable(existingDataDir(options.dataDir).images).delete(name);
      if (!deleted.ok) throw new CommandFailure(deleted.error, { next: "Correct the file, or delete it." });
      if (!deleted.value) throw new CommandFailure(`there is no image ${name}`, { next: 'See "weft image list".' });
      console.log(`${name} deleted`);
    });
  examples(command, ["weft image delete myapi:1.0"]);
}
