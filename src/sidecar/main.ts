// The entry of the proxy's bundle: reads the command line and runs what it says until a signal ends it.

import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import type { Result } from "../base/result.ts";
import { collectGarbage } from "../proxy/socket/runtime.ts";
import { type Arguments, parseArguments } from "./arguments.ts";
import { Faults } from "./faults.ts";
import { openLogs } from "./logs.ts";
import type { Process, Running } from "./process.ts";
import { untilSignal } from "./shutdown.ts";

// A worker thread runs the same bundle.
if (process.argv[2] === "worker") (await import("./worker.ts")).startWorkerThread();
else await main();

async function main(): Promise<void> {
  const parsed = parseArguments(process.argv.slice(2));
  if (!parsed.ok) return fail(parsed.error, 2);
  const given = parsed.value;
  switch (given.kind) {
    case "help":
      process.stdout.write((await import("./usage.ts")).USAGE);
      return;
    case "agent-help":
      process.stdout.write((await import("./usage.ts")).AGENT_USAGE);
      return;
    case "version":
      process.stdout.write(`weft ${(await import("../proxy/admin/server-info.ts")).VERSION}\n`);
      return;
    case "validate": {
      const issues = (await import("./static.ts")).validateStatic(given.options);
      for (const issue of issues) process.stderr.write(`${issue}\n`);
      if (issues.length === 0) process.stdout.write(`configuration '${given.options.configPath}' OK\n`);
      process.exitCode = issues.length === 0 ? 0 : 1;
      return;
    }
    case "serve":
    case "sidecar":
    case "agent":
      return run(given);
  }
}

async function run(given: Extract<Arguments, { kind: "serve" | "sidecar" | "agent" }>): Promise<void> {
  const logs = openLogs(given);
  if (!logs.ok) return fail(logs.error, 2);
  const context: Process = { clock: systemClock, random: systemRandom, logs: logs.value, startedAtMs: 0 };
  const log = logs.value.logger("main");
  let isServing = false;
  const faults = new Faults({
    log,
    monotonicMs: systemClock.monotonicMs,
    isServing: () => isServing,
    end: () => process.exit(1),
  });
  process.on("uncaughtException", (error) => faults.onUncaught(error));
  const quit = untilSignal();
  const started = await Promise.race([start(given, context, quit.request), quit.requested]);
  if (typeof started === "string") {
    log.info(`${started}: ended before it was ready`);
    process.exit(0);
  }
  if (!started.ok) {
    for (const line of started.error) log.error(line);
    process.exitCode = 1;
    setImmediate(() => process.exit());
    return;
  }
  collectGarbage();
  isServing = true;
  const cause = await quit.requested;
  log.info(`${cause}: draining`);
  await started.value.stop();
  log.info("ended");
  process.exit(0);
}

/** Each of the ways needs what the others don't. */
async function start(
  given: Extract<Arguments, { kind: "serve" | "sidecar" | "agent" }>,
  context: Process,
  quit: (cause: string) => void,
): Promise<Result<Running, readonly string[]>> {
  switch (given.kind) {
    case "sidecar":
      return (await import("./sidecar.ts")).startSidecar(given, context, quit);
    case "agent":
      return (await import("./envoy.ts")).startAgent(given, context, quit);
    case "serve":
      return (await import("./static.ts")).startStatic(given.options, context, quit);
  }
}

function fail(message: string, code: number): void {
  process.stderr.write(`weft proxy: ${message}\n`);
  process.exitCode = code;
}
