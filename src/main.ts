// The program: everything is in the command line.

import { run } from "./cli/run.ts";

await run(process.argv.slice(2));
