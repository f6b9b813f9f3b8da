// `weft crds`: the CustomResourceDefinitions of every kind of Istio that weft serves, for a real cluster.

import { Argument, type Command, Option } from "commander";
import { customResourceDefinition } from "../api/crd.ts";
import { istioKinds } from "../api/istio/kinds.ts";
import type { Kind } from "../api/kind.ts";
import { makeRegistry } from "../api/registry.ts";
import { CommandFailure, examples } from "./command.ts";
import { printStructured } from "./output.ts";

export function define(command: Command): void {
  command
    .addArgument(new Argument("[kinds...]", "only these: VirtualService, vs, virtualservices, …"))
    .addOption(new Option("-o, --output <format>", "how to print").choices(["yaml", "json"]).default("yaml" as const))
    .action(async (names: string[], options: { readonly output: "yaml" | "json" }) => {
      const definitions = chosen(names).map(customResourceDefinition);
      if (options.output === "json") {
        await printStructured({ apiVersion: "v1", kind: "List", items: definitions }, "json");
        return;
      }
      for (const [index, definition] of definitions.entries()) {
        if (index > 0) console.log("---");
        await printStructured(definition, "yaml");
      }
    });
  examples(command, [
    "weft crds | kubectl apply --server-side -f -",
    "weft crds VirtualService DestinationRule > crds.yaml",
    "weft crds vs -o json | jq .items[0].spec.versions[].name",
  ]);
}

function chosen(names: readonly string[]): readonly Kind[] {
  const registry = makeRegistry(istioKinds);
  if (names.length === 0) return [...istioKinds].sort((a, b) => (a.plural < b.plural ? -1 : 1));
  return names.map((name) => {
    const kind = registry.byAnyName(name);
    if (kind !== undefined) return kind;
    throw new CommandFailure(`weft serves no kind ${name}`, {
      next: `There are ${istioKinds.map((each) => each.kind).join(", ")}.`,
      exitCode: 2,
    });
  });
}
