// `weft logs`: for machines without kubectl.

import { Argument, type Command } from "commander";
import { readApi } from "../cluster/remote.ts";
import { openClusterApi } from "./cluster-api.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";

interface Options {
  readonly namespace: string;
  readonly container?: string;
  readonly follow?: true;
  readonly previous?: true;
  readonly timestamps?: true;
  readonly tail?: string;
  readonly dataDir: string;
}

export function define(command: Command): void {
  command
    .addArgument(new Argument("<pod>", "the pod's name"))
    .option("-n, --namespace <namespace>", "where it is", "default")
    .option("-c, --container <name>", "which container, where there are several")
    .option("-f, --follow", "go on with what comes")
    .option("-p, --previous", "of the run before the last restart")
    .option("--timestamps", "each line with its time")
    .option("--tail <lines>", "only the last so many lines")
    .addOption(dataDirOption())
    .action(async (pod: string, options: Options) => {
      const { credentials } = openClusterApi(options.dataDir);
      const query = new URLSearchParams();
      if (options.container !== undefined) query.set("container", options.container);
      if (options.tail !== undefined) query.set("tailLines", options.tail);
      for (const name of ["follow", "previous", "timestamps"] as const) if (options[name]) query.set(name, "true");
      const place = `/api/v1/namespaces/${options.namespace}/pods/${encodeURIComponent(pod.replace(/^pods?\//, ""))}`;
      const done = await readApi(credentials, `${place}/log?${query}`, (chunk) => process.stdout.write(chunk));
      if (!done.ok) throw new CommandFailure(done.error);
    });
  examples(command, [
    "weft logs web-0",
    "weft logs web-0 -c istio-proxy -f -n shop",
    "weft logs web-0 --previous --tail 20",
  ]);
}
