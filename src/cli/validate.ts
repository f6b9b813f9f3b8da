// `weft validate`: what the API server would say to these manifests, without one.

import type { Command } from "commander";
import { istioKinds } from "../api/istio/kinds.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import { makeRegistry } from "../api/registry.ts";
import { describeFinding, readManifests } from "../cluster/manifests.ts";
import { CommandFailure, examples } from "./command.ts";
import { collect } from "./files.ts";
import { formatOption, paint, printStructured, readFormat } from "./output.ts";

export function define(command: Command): void {
  command
    .requiredOption("-f, --filename <file>", 'file or folder, "-" for standard input (may be repeated)', collect, [])
    .addOption(formatOption())
    .action(async (options: { filename: string[]; output?: string }) => {
      const checked = readManifests(options.filename, makeRegistry([...kubernetesKinds, ...istioKinds]));
      if (!checked.ok) throw new CommandFailure(checked.error, { next: "Name an existing file or folder with -f." });
      const { manifests, findings } = checked.value;
      const errors = findings.filter((finding) => finding.issue.severity === "error").length;
      const format = readFormat(options.output);
      if (format === "table") {
        for (const finding of findings) {
          const isError = finding.issue.severity === "error";
          console.log(
            `${paint(isError ? "red" : "yellow", isError ? "error" : "warning")} ${describeFinding(finding)}`,
          );
        }
        if (errors === 0) console.log(`${manifests.length} resources are valid, ${findings.length} warnings`);
      } else {
        await printStructured({ valid: errors === 0, resources: manifests.length, findings }, format);
      }
      if (errors > 0) throw new CommandFailure(`${errors} errors`, { next: "Correct them and validate again." });
    });
  examples(command, ["weft validate -f deployment.yaml", "weft validate -f manifests/ -o json"]);
}
