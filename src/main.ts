// The program: everything is in the command line.

import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

// From source, a cluster is seven hundred files: read and compiled once, not at every start. Where the folder can't be
// written there is no cache, and nothing else changes. Not below /tmp, where somebody else could put code.
enableCompileCache(join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "weft"));
const { run } = await import("./cli/run.ts");

await run(process.argv.slice(2));
