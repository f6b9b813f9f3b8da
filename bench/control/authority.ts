// A mesh root that nobody keeps.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { type Authority, openAuthority } from "../../src/ca/authority.ts";

export async function makeAuthority(): Promise<Authority> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-bench-"));
  const opened = await openAuthority({ directory, trustDomain: "cluster.local", clock: systemClock });
  fs.rmSync(directory, { recursive: true });
  if (!opened.ok) throw new Error(opened.error);
  return opened.value;
}
