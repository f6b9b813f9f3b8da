// Where a proxy's log goes and how it looks: as the command line says.

import fs from "node:fs";
import { systemClock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import { LogRoot, type LogRootOptions } from "../observe/log.ts";
import { compileLogFormat } from "../observe/log-format.ts";
import type { Arguments } from "./arguments.ts";

export function openLogs(given: Extract<Arguments, { kind: "serve" | "sidecar" | "agent" }>): Result<LogRoot, string> {
  const fromEnvironment = process.env["WEFT_LOG_FORMAT"] === "json" ? "json" : "plain";
  const write = (line: string) => process.stdout.write(line);
  const { wallMs } = systemClock;
  if (given.kind !== "serve") {
    return ok(new LogRoot({ level: given.logLevel, format: fromEnvironment, write, wallMs }));
  }
  const { options } = given;
  const format = readFormat(options.logFormat === "" ? fromEnvironment : options.logFormat);
  if (!format.ok) return err(`--log-format: ${format.error}`);
  const sink = options.logPath === "" ? ok(write) : openFile(options.logPath);
  if (!sink.ok) return err(`--log-path: ${sink.error}`);
  const logs = new LogRoot({ level: options.logLevel, format: format.value, write: sink.value, wallMs });
  for (const [logger, level] of options.componentLevels) {
    logs.logger(logger);
    logs.setLevel(logger, level);
  }
  const log = logs.logger("main");
  if (options.withoutEffect.length > 0) {
    log.info(`without effect (weft shares no memory between processes): ${options.withoutEffect.join(" ")}`);
  }
  return ok(logs);
}

function readFormat(text: string): Result<LogRootOptions["format"], string> {
  return text === "plain" || text === "json" ? ok(text) : compileLogFormat(text);
}

/** Appends; SIGUSR1 opens the file anew, for whoever rotates it. */
function openFile(path: string): Result<(line: string) => void, string> {
  const open = (): Result<number, string> => {
    try {
      return ok(fs.openSync(path, "a", 0o644));
    } catch (error) {
      return err(`can't be opened: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const first = open();
  if (!first.ok) return first;
  let file = first.value;
  process.on("SIGUSR1", () => {
    const next = open();
    if (!next.ok) return;
    fs.closeSync(file);
    file = next.value;
  });
  return ok((line) => {
    fs.writeSync(file, line);
  });
}
