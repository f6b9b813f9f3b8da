// `weft exec`: for machines without kubectl.

import { Argument, type Command } from "commander";
import { runInPod } from "../cluster/remote-exec.ts";
import { openClusterApi } from "./cluster-api.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";

interface Options {
  readonly namespace: string;
  readonly container?: string;
  readonly stdin?: true;
  readonly tty?: true;
  readonly dataDir: string;
}

export function define(command: Command): void {
  command
    .addArgument(new Argument("<pod>", "the pod's name"))
    .addArgument(new Argument("<command...>", "what to run in it, after --"))
    .option("-n, --namespace <namespace>", "where it is", "default")
    .option("-c, --container <name>", "which container, where there are several")
    .option("-i, --stdin", "hand on the standard input")
    .option("-t, --tty", "on a terminal")
    .addOption(dataDirOption())
    .action(async (pod: string, argv: string[], options: Options) => {
      const { credentials } = openClusterApi(options.dataDir);
      const isTerminal = options.tty === true && process.stdin.isTTY;
      const done = await runInPod(credentials, {
        namespace: options.namespace,
        pod: pod.replace(/^pods?\//, ""),
        container: options.container,
        argv,
        stdin: options.stdin === true,
        tty: isTerminal,
      });
      if (!done.ok) throw new CommandFailure(done.error);
      process.exitCode = done.value;
    });
  examples(command, ["weft exec web-0 -- ls /", "weft exec -it web-0 -c web -n shop -- sh"]);
}
