// `weft apply`: for machines without kubectl.

import type { Command } from "commander";
import { istioKinds } from "../api/istio/kinds.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import { makeRegistry } from "../api/registry.ts";
import { applyManifest } from "../cluster/apply.ts";
import { describeFinding, readManifests } from "../cluster/manifests.ts";
import { readCredentials } from "../cluster/remote.ts";
import { makeRemoteClient } from "../cluster/remote-client.ts";
import { readState } from "../cluster/state.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption, existingDataDir } from "./data-dir.ts";
import { collect } from "./files.ts";
import { paint } from "./output.ts";

export function define(command: Command): void {
  command
    .requiredOption("-f, --filename <file>", 'file or folder, "-" for standard input (may be repeated)', collect, [])
    .addOption(dataDirOption())
    .action(async (options: { filename: string[]; dataDir: string }) => {
      const dir = existingDataDir(options.dataDir);
      if (readState(dir) === undefined) {
        throw new CommandFailure(`no cluster runs on ${dir.root}`, { next: 'Start it with "weft up -d".' });
      }
      const credentials = readCredentials(dir.kubeconfig);
      if (!credentials.ok) throw new CommandFailure(`cannot read ${dir.kubeconfig}: ${credentials.error}`);
      const checked = readManifests(options.filename, makeRegistry([...kubernetesKinds, ...istioKinds]));
      if (!checked.ok) throw new CommandFailure(checked.error, { next: "Name an existing file or folder with -f." });
      const wrong = checked.value.findings.filter((finding) => finding.issue.severity === "error");
      if (wrong.length > 0) {
        throw new CommandFailure(wrong.map(describeFinding).join("\n      "), { next: "Nothing was applied." });
      }
      const warn = (text: string): void => console.error(`${paint("yellow", "Warning:", process.stderr)} ${text}`);
      const client = makeRemoteClient(credentials.value, warn);
      for (const manifest of checked.value.manifests) {
        const resource = `${manifest.kind.singular}/${manifest.object.metadata.name}`;
        const applied = await applyManifest(client, manifest);
        if (!applied.ok) throw new CommandFailure(`${manifest.file}:${manifest.line}: ${applied.error.message}`);
        console.log(`${resource} ${applied.value}`);
      }
    });
  examples(command, ["weft apply -f deployment.yaml", "weft apply -f manifests/ --data-dir .weft/demo"]);
}
