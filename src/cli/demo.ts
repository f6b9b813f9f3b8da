// `weft demo`: the shop in a cluster of its own.

import { resolve, sep } from "node:path";
import type { Command } from "commander";
import type { Intercept } from "../cluster/mode.ts";
import { startCluster } from "../cluster/start.ts";
import { examples } from "./command.ts";
import { asFailure, dataDirOption } from "./data-dir.ts";
import { formatOption, readFormat } from "./output.ts";
import { packageRoot } from "./package.ts";
import { interceptOption } from "./up.ts";

interface DemoOptions {
  readonly once?: boolean;
  readonly output?: string;
  readonly intercept: Intercept;
  readonly dataDir: string;
}

export function define(command: Command): void {
  command
    .description(
      "Runs a small shop in a cluster of its own and shows its mesh at work: who may call whom, the canary, latency,\nejections, certificates. Runs until Ctrl-C, which stops everything.",
    )
    .option("--once", "check once that everything holds, print what was seen, and end; exit code 0 only if all does")
    .addOption(formatOption())
    .addOption(interceptOption())
    .addOption(dataDirOption().default(".weft/demo"))
    .action(demo);
  examples(command, ["weft demo", "weft demo --once", "weft demo --once -o json", "weft demo --intercept explicit"]);
}

async function demo(options: DemoOptions): Promise<void> {
  const root = packageRoot();
  const done = await startCluster({
    dataDir: options.dataDir,
    apiPort: undefined,
    dashboardPort: undefined,
    intercept: options.intercept,
    main: resolve(process.argv[1] ?? ""),
    proxy: { kind: "weft", envoy: undefined },
    task: {
      kind: "demo",
      once: options.once === true,
      format: readFormat(options.output),
      // When the process began, not when this line was reached.
      startedMs: Math.round(performance.timeOrigin),
      examples: resolve(root, "examples", "shop"),
      weft: root.split(sep).includes("node_modules") || process.cwd() !== root ? "weft" : "npx --no weft",
    },
  });
  if (!done.ok) throw asFailure(done.error);
  // Everything that was started has ended; what a library still holds open must not keep the process.
  process.exit(done.value);
}
