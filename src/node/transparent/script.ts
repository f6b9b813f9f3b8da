// Short shell scripts and tools, run without blocking: one script for a pod instead of fifteen processes.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { err, ok, type Result } from "../../base/result.ts";
import { SCRIPT_OUTPUT_BYTES_MAX, SCRIPT_TIMEOUT_MS } from "./limits.ts";

/** Runs `script` by /bin/sh; the error is what it wrote. */
export function runScript(script: string): Promise<Result<string, string>> {
  return runTool("/bin/sh", ["-c", script], "");
}

/** Runs one program with `input` as its standard input. */
export function runTool(
  program: string,
  args: readonly string[],
  input: string,
  timeoutMs = SCRIPT_TIMEOUT_MS,
): Promise<Result<string, string>> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env: toolEnvironment() });
    const output = { out: "", err: "" };
    const keep = (stream: "out" | "err") => (chunk: Buffer) => {
      if (output[stream].length < SCRIPT_OUTPUT_BYTES_MAX) output[stream] += chunk.toString("utf8");
    };
    child.stdout.on("data", keep("out"));
    child.stderr.on("data", keep("err"));
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve(err(`${program} could not be started: ${error.message}`));
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(ok(output.out));
      const end = signal === null ? `exit code ${code}` : `${signal} (limit ${timeoutMs} ms)`;
      resolve(err(`${program}: ${end}: ${(output.err || output.out).trim()}`));
    });
    // A program that ends before it has read its input is reported by its exit code.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

/** One word for the shell, whatever it holds. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Where a system tool is: an unprivileged user's PATH often lacks the sbin directories. */
export function findTool(name: string): string | undefined {
  return toolPath()
    .split(":")
    .map((directory) => join(directory, name))
    .find((path) => existsSync(path));
}

function toolPath(): string {
  return `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin`;
}

function toolEnvironment(): Record<string, string> {
  return { PATH: toolPath(), LC_ALL: "C" };
}
