// What a crashed cluster may have left running, and how to end it.

import { join } from "node:path";
import { endLeftovers } from "../node/explicit/ledger.ts";
import type { DataDir } from "./data-dir.ts";

/** With the lock held. The transparent mode leaves nothing: its process namespace ends with its first process. */
export function cleanLeftovers(dir: DataDir): Promise<void> {
  endLeftovers(join(dir.run, "processes"));
  return Promise.resolve();
}
