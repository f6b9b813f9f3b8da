// Runs one of the checkout's own scripts on the Node that this runs on, in a process that gives its memory back.

import { execFile } from "node:child_process";
import { err, ok, type Result } from "../base/result.ts";
import { SCRIPT_TIMEOUT_MS } from "./limits.ts";

/** What it printed. */
export function runScript(argv: readonly string[]): Promise<Result<string, string>> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...argv], { timeout: SCRIPT_TIMEOUT_MS }, (error, stdout, stderr) => {
      resolve(error === null ? ok(stdout) : err(stderr.trim() === "" ? error.message : stderr.trim()));
    });
  });
}
