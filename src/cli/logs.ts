// `weft logs`: what a container said, for machines without kubectl; or what passed the proxies of a service.

import { Argument, type Command } from "commander";
import { readApi } from "../cluster/remote.ts";
import { openClusterApi } from "./cluster-api.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { MeshAccess } from "./mesh-access.ts";
import { type FollowOptions, followRequests } from "./requests/follow.ts";

interface Options extends FollowOptions {
  readonly requests?: true;
  readonly container?: string;
  readonly previous?: true;
  readonly timestamps?: true;
  readonly dataDir: string;
}

export function define(command: Command): void {
  command
    .addArgument(new Argument("<pod>", "the pod's name; with --requests also a service, svc/NAME or deploy/NAME"))
    .option("-n, --namespace <namespace>", "where it is", "default")
    .option("-c, --container <name>", "which container, where there are several")
    .option("-f, --follow", "go on with what comes")
    .option("-p, --previous", "of the run before the last restart")
    .option("--timestamps", "each line with its time")
    .option("--tail <lines>", "only the last so many lines")
    .option("--requests", "instead of a container's output: the requests that passed the proxies")
    .option("--from <caller>", "requests of this caller: SERVICEACCOUNT, or NAMESPACE/SERVICEACCOUNT")
    .option("--to <service>", "requests to this service: NAME, NAMESPACE/NAME or a host")
    .option("--code <codes>", "requests that were answered so: 503, 5xx, none; several with commas")
    .option("--slow <duration>", "requests that took as long or longer: 200ms, 1.5s")
    .option("--path <prefix>", "requests whose path begins so")
    .option("-o, --output <format>", "with --requests: json, one object a line")
    .addOption(dataDirOption())
    .action(async (pod: string, options: Options) => {
      if (options.requests === true) {
        await followRequests(new MeshAccess(options.dataDir), pod, options);
        return;
      }
      const unread = ["from", "to", "code", "slow", "path", "output"] as const;
      const given = unread.find((name) => options[name] !== undefined);
      if (given !== undefined)
        throw new CommandFailure(`--${given} is about requests`, { next: "Add --requests.", exitCode: 2 });
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
    "weft logs api -n shop --requests -f",
    "weft logs deploy/api -n shop --requests --code 5xx,none --slow 200ms --from frontend",
  ]);
}
