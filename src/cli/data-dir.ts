// The option --data-dir, which every command about the local cluster has.

import { Option } from "commander";
import { type DataDir, dataDirAt, isDataDir } from "../cluster/data-dir.ts";
import type { ClusterError } from "../cluster/failure.ts";
import { CommandFailure } from "./command.ts";

export function dataDirOption(): Option {
  return new Option("--data-dir <dir>", "where the cluster keeps its state").default(".weft");
}

/** For commands that need a cluster to have been there. */
export function existingDataDir(path: string): DataDir {
  if (!isDataDir(path)) {
    throw new CommandFailure(`there is no weft cluster in ${dataDirAt(path).root}`, {
      next: 'Start one with "weft up -d", or name its directory with --data-dir DIR.',
    });
  }
  return dataDirAt(path);
}

export function asFailure(error: ClusterError): CommandFailure {
  return new CommandFailure(error.message, { next: error.next });
}
