// `weft inject`, alias `weft kube-inject`: manifests in, the same manifests with sidecars out.

import type { Command } from "commander";
import { injectText } from "../inject/documents.ts";
import { DEFAULT_INJECT_OPTIONS } from "../inject/options.ts";
import { meshProxySettings, NO_PROXY_CONFIGS } from "../inject/proxy-config.ts";
import { CommandFailure, examples } from "./command.ts";
import { collect, readInput } from "./files.ts";

interface InjectFlags {
  readonly filename: string[];
  readonly image: string;
  readonly discoveryAddress: string;
  readonly trustDomain: string;
  readonly meshConfigFile?: string;
}

export function define(command: Command): void {
  command
    .requiredOption("-f, --filename <file>", 'manifest to read, "-" for standard input (may be repeated)', collect, [])
    .option("--image <image>", "the sidecar's image", DEFAULT_INJECT_OPTIONS.image)
    .option("--discovery-address <host:port>", "control plane", DEFAULT_INJECT_OPTIONS.discoveryAddress)
    .option("--trust-domain <domain>", "the mesh's trust domain", DEFAULT_INJECT_OPTIONS.trustDomain)
    .option("--meshConfigFile <file>", "MeshConfig, whose defaultConfig says how proxies run")
    .action(async (options: InjectFlags) => {
      const injectOptions = {
        ...DEFAULT_INJECT_OPTIONS,
        image: options.image,
        discoveryAddress: options.discoveryAddress,
        trustDomain: options.trustDomain,
      };
      const { meshConfigFile } = options;
      const mesh = meshConfigFile === undefined ? {} : meshProxySettings(await readInput(meshConfigFile));
      let failed = false;
      const outputs: string[] = [];
      for (const file of options.filename) {
        const result = injectText(await readInput(file), injectOptions, { ...NO_PROXY_CONFIGS, mesh });
        if (!result.ok)
          throw new CommandFailure(`${file}: ${result.error}`, { next: "Correct the YAML and try again." });
        for (const { resource, issue } of result.value.notices) {
          failed ||= issue.severity === "error";
          console.error(
            `${issue.severity === "error" ? "error" : "Warning"}: ${resource}: ${issue.path}: ${issue.message}`,
          );
        }
        outputs.push(result.value.text);
      }
      if (failed) throw new CommandFailure("nothing was written, because of the errors above");
      process.stdout.write(outputs.map((text) => (text.endsWith("\n") ? text : `${text}\n`)).join("---\n"));
    });
  examples(command, [
    "weft inject -f deployment.yaml > injected.yaml",
    "weft kube-inject -f deployment.yaml | kubectl apply -f -",
    "cat deployment.yaml | weft inject -f - | kubectl apply -f -",
  ]);
}
