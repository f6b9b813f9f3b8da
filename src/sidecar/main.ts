// The entry of the proxy's bundle: reads the command line and runs what it says until a signal ends it.

import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { LogRoot } from "../observe/log.ts";
import { parseArguments } from "./arguments.ts";
import type { Process } from "./process.ts";
import { untilSignal } from "./shutdown.ts";

await main();

async function main(): Promise<void> {
  const parsed = parseArguments(process.argv.slice(2));
  if (!parsed.ok) {
    process.stderr.write(`${parsed.error}\n`);
    process.exitCode = 2;
    return;
  }
  const logs = new LogRoot({
    level: parsed.value.logLevel,
    format: process.env["WEFT_LOG_FORMAT"] === "json" ? "json" : "plain",
    write: (line) => process.stdout.write(line),
    wallMs: systemClock.wallMs,
  });
  const context: Process = { clock: systemClock, random: systemRandom, logs, startedAtMs: 0 };
  const log = logs.logger("main");
  process.on("uncaughtException", (error) => {
    log.error(`broken: ${error.stack ?? error.message}`);
    process.exit(1);
  });
  if (parsed.value.kind === "validate") {
    const issues = (await import("./static.ts")).validateStatic(parsed.value.file);
    for (const issue of issues) process.stderr.write(`${issue}\n`);
    if (issues.length === 0) process.stdout.write(`configuration '${parsed.value.file}' OK\n`);
    process.exitCode = issues.length === 0 ? 0 : 1;
    return;
  }
  const quit = untilSignal();
  // Each of the two ways needs what the other doesn't.
  const started =
    parsed.value.kind === "sidecar"
      ? await (await import("./sidecar.ts")).startSidecar(parsed.value, context, quit.request)
      : await (await import("./static.ts")).startStatic(parsed.value.file, context, quit.request);
  if (!started.ok) {
    for (const line of started.error) log.error(line);
    process.exitCode = 1;
    setImmediate(() => process.exit());
    return;
  }
  const cause = await quit.requested;
  log.info(`${cause}: draining`);
  await started.value.stop();
  log.info("ended");
  process.exit(0);
}
