// `weft patch`: for machines without kubectl.

import { Argument, type Command, Option } from "commander";
import { parseYamlDocuments } from "../base/json.ts";
import { openClusterApi, pathOf, readResources } from "./cluster-api.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";

interface Options {
  readonly namespace: string;
  readonly patch: string;
  readonly type: "merge" | "json" | "strategic";
  readonly subresource?: string;
  readonly dataDir: string;
}

const TYPES = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  strategic: "application/strategic-merge-patch+json",
} as const;

export function define(command: Command): void {
  command
    .addArgument(new Argument("<resource...>", "KIND NAME or KIND/NAME"))
    .requiredOption("-p, --patch <text>", "the patch, as JSON or YAML")
    .addOption(new Option("--type <type>", "of the patch").choices(["merge", "json", "strategic"]).default("merge"))
    .addOption(new Option("--subresource <name>", "patch this part").choices(["status", "scale"]))
    .option("-n, --namespace <namespace>", "where it is", "default")
    .addOption(dataDirOption())
    .action(async (words: string[], options: Options) => {
      const api = openClusterApi(options.dataDir);
      const parsed = parseYamlDocuments(options.patch);
      if (!parsed.ok) throw new CommandFailure(`the patch can't be read: ${parsed.error}`, { exitCode: 2 });
      for (const { kind, name } of readResources(words)) {
        if (name === undefined) throw new CommandFailure(`which ${kind}?`, { next: "Name one of them.", exitCode: 2 });
        const place = await api.place(kind);
        const part = options.subresource === undefined ? "" : `/${options.subresource}`;
        await api.ask({
          method: "PATCH",
          path: `${pathOf(place, options.namespace, name)}${part}`,
          body: parsed.value[0]?.value,
          contentType: TYPES[options.type],
        });
        console.log(`${place.singular}/${name} patched`);
      }
    });
  examples(command, [
    `weft patch deploy web -p '{"spec":{"replicas":3}}'`,
    `weft patch svc/web --type json -p '[{"op":"remove","path":"/metadata/labels/old"}]'`,
  ]);
}
