// The world that a question is about: the local cluster's, or that of some manifests.

import type { Command } from "commander";
import { buildWorld, type World } from "../analyze/world.ts";
import { defaultMeshConfig } from "../model/mesh-config.ts";
import { readCluster } from "./cluster-objects.ts";
import { dataDirOption } from "./data-dir.ts";
import { collect } from "./files.ts";
import { readObjects } from "./manifest-objects.ts";
import { formatOption } from "./output.ts";

export interface WorldOptions {
  readonly filename: string[];
  readonly namespace?: string;
  readonly dataDir: string;
  readonly output?: string;
}

export function worldOptions(command: Command): Command {
  return command
    .option(
      "-f, --filename <file>",
      'look at manifests instead of the local cluster: file or folder, "-" for standard input (may be repeated)',
      collect,
      [],
    )
    .option("-n, --namespace <namespace>", "where the pod is; of manifests that name none")
    .addOption(dataDirOption())
    .addOption(formatOption());
}

export async function readWorld(options: WorldOptions): Promise<World> {
  const objects =
    options.filename.length === 0
      ? await readCluster(options.dataDir)
      : readObjects(options.filename, options.namespace ?? "default");
  return buildWorld(objects, defaultMeshConfig);
}
