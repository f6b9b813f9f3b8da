// `weft delete`: for machines without kubectl.

import { Argument, type Command, Option } from "commander";
import { istioKinds } from "../api/istio/kinds.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import { makeRegistry } from "../api/registry.ts";
import { describeFinding, readManifests } from "../cluster/manifests.ts";
import { type ClusterApi, openClusterApi, type Place, pathOf, readResources } from "./cluster-api.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { collect } from "./files.ts";

interface Options {
  readonly namespace: string;
  readonly filename: readonly string[];
  readonly cascade: "background" | "foreground" | "orphan";
  readonly dataDir: string;
}

const POLICY = { background: "Background", foreground: "Foreground", orphan: "Orphan" } as const;

export function define(command: Command): void {
  command
    .addArgument(new Argument("[resources...]", "KIND NAME… or KIND/NAME…"))
    .option("-n, --namespace <namespace>", "where they are", "default")
    .option("-f, --filename <file>", "what these manifests describe (may be repeated)", collect, [])
    .addOption(
      new Option("--cascade <how>", "what becomes of what belongs to it")
        .choices(["background", "foreground", "orphan"])
        .default("background"),
    )
    .addOption(dataDirOption())
    .action(async (words: string[], options: Options) => {
      const api = openClusterApi(options.dataDir);
      for (const { kind, name } of words.length === 0 ? [] : readResources(words)) {
        if (name === undefined) {
          throw new CommandFailure(`which ${kind}?`, { next: `Name it: weft delete ${kind} NAME.`, exitCode: 2 });
        }
        await remove(api, { place: await api.place(kind), name, namespace: options.namespace }, options);
      }
      await removeManifests(api, options);
      if (words.length + options.filename.length === 0) {
        throw new CommandFailure("nothing is named", { next: "Name a resource, or manifests with -f.", exitCode: 2 });
      }
    });
  examples(command, ["weft delete pod web-0", "weft delete deploy/web svc/web -n shop", "weft delete -f manifests/"]);
}

async function removeManifests(api: ClusterApi, options: Options): Promise<void> {
  if (options.filename.length === 0) return;
  const read = readManifests([...options.filename], makeRegistry([...kubernetesKinds, ...istioKinds]));
  if (!read.ok) throw new CommandFailure(read.error, { next: "Name an existing file or folder with -f." });
  const wrong = read.value.findings.filter(({ issue }) => issue.severity === "error");
  if (wrong.length > 0) throw new CommandFailure(wrong.map(describeFinding).join("\n      "));
  // What was made last goes first: a namespace after what is in it.
  for (const { kind, object } of read.value.manifests.toReversed()) {
    const { name, namespace = options.namespace } = object.metadata;
    await remove(api, { place: kind, name, namespace }, options);
  }
}

async function remove(
  api: ClusterApi,
  { place, name, namespace }: { readonly place: Place; readonly name: string; readonly namespace: string },
  { cascade }: Options,
): Promise<void> {
  const path = `${pathOf(place, namespace, name)}?propagationPolicy=${POLICY[cascade]}`;
  await api.ask({ method: "DELETE", path });
  console.log(`${place.singular}/${name} deleted`);
}
