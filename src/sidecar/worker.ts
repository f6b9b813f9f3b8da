// A worker thread of a proxy process: the proxy's part, and what is done about broken invariants.

import { workerData } from "node:worker_threads";
import { systemClock } from "../base/clock.ts";
import { LogRoot, parseLogLevel } from "../observe/log.ts";
import { runWorker } from "../proxy/run/worker.ts";
import type { WorkerStart } from "../proxy/run/worker-wire.ts";
import { Faults } from "./faults.ts";

export function startWorkerThread(): void {
  const { index, logLevel }: WorkerStart = workerData;
  const { wallMs, monotonicMs } = systemClock;
  const level = parseLogLevel(logLevel) ?? "info";
  const logs = new LogRoot({ level, format: "plain", write: (line) => process.stdout.write(line), wallMs });
  const faults = new Faults({
    log: logs.logger(`worker ${index}`),
    monotonicMs,
    isServing: () => true,
    // Of this thread: the main one then ends the process.
    end: () => process.exit(1),
  });
  process.on("uncaughtException", (error) => faults.onUncaught(error));
  runWorker();
}
