// `weft preview`: the configuration that a pod's proxy would get from manifests alone, with no cluster.

import { Argument, type Command, Option } from "commander";
import { DEFAULT_INJECT_OPTIONS } from "../inject/options.ts";
import { defaultMeshConfig } from "../model/mesh-config.ts";
import { preview } from "../preview/preview.ts";
import { CommandFailure, examples } from "./command.ts";
import { collect } from "./files.ts";
import { readObjects } from "./manifest-objects.ts";
import { printStructured } from "./output.ts";

interface Options {
  readonly filename: string[];
  readonly pod: string;
  readonly namespace: string;
  readonly output: "json" | "yaml";
  readonly proxy: "weft" | "envoy";
  readonly intercept: "transparent" | "explicit";
}

export function define(command: Command): void {
  command
    .addArgument(new Argument("[files...]", "the same as -f"))
    .option("-f, --filename <file>", 'file or folder, "-" for standard input (may be repeated)', collect, [])
    .requiredOption("--pod <namespace/name>", "whose proxy: a pod, or a workload whose first pod is meant")
    .option("-n, --namespace <namespace>", "of manifests that name none", "default")
    .addOption(new Option("-o, --output <format>", "how to print").choices(["json", "yaml"]).default("json" as const))
    .addOption(new Option("--proxy <proxy>", "what the pod runs").choices(["weft", "envoy"]).default("weft" as const))
    .addOption(
      new Option("--intercept <mode>", "how connections get to the proxy")
        .choices(["transparent", "explicit"])
        .default("transparent" as const),
    )
    .action(async (files: string[], options: Options) => {
      const paths = [...options.filename, ...files];
      if (paths.length === 0) {
        throw new CommandFailure("no manifests are named", { next: "Name a file or folder with -f.", exitCode: 2 });
      }
      const wanted = readPod(options.pod, options.namespace);
      const objects = readObjects(paths, options.namespace);
      const made = preview(objects, wanted, {
        mesh: defaultMeshConfig,
        inject: {
          ...DEFAULT_INJECT_OPTIONS,
          interceptionMode: options.intercept === "explicit" ? "NONE" : "REDIRECT",
        },
        engine: options.proxy,
      });
      if (!made.ok) throw new CommandFailure(made.error, { next: "Name one of them with --pod NAMESPACE/NAME." });
      const { pod, configuration, world } = made.value;
      for (const { resource, severity, path, message } of world.issues) {
        console.error(`${severity === "error" ? "error" : "Warning"}: ${resource}: ${path}: ${message}`);
      }
      if (!pod.hasSidecar) {
        const { namespace, name } = pod.pod.metadata;
        console.error(`Warning: ${namespace}/${name} would get no sidecar: this is what it would get if it had one`);
      }
      await printStructured(configuration, options.output);
    });
  examples(command, [
    "weft preview -f manifests/ --pod production/frontend",
    "weft preview -f manifests/ --pod production/frontend | jq '.routes[].virtualHosts[].name'",
    "kubectl get ns,svc,pods,endpointslices,vs,dr -A -o yaml | weft preview -f - --pod production/api-v1-0 -o yaml",
  ]);
}

function readPod(text: string, namespace: string): { readonly namespace: string; readonly name: string } {
  const [first = "", second, third] = text.split("/");
  if (third !== undefined || first === "" || second === "") {
    throw new CommandFailure(`--pod ${text} is not NAMESPACE/NAME`, { exitCode: 2 });
  }
  return second === undefined ? { namespace, name: first } : { namespace: first, name: second };
}
