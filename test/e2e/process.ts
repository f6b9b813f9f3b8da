// Runs real commands for a test: bounded in time, output kept, as another user where asked.

import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";

export interface Outcome {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly user?: User;
}

/** Who runs it: undefined is whoever runs the tests. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

const TIMEOUT_MS = 60_000;
const OUTPUT_CHARS_MAX = 64 * 1024 * 1024;

export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = start(argv, options, ["pipe", "pipe", "pipe"]);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input ?? "");
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    signalGroup(child, "SIGKILL");
  }, options.timeoutMs ?? TIMEOUT_MS);
  const code = await new Promise<number | undefined>((resolve) => {
    child.once("error", (error) => {
      stderr.push(error.message);
      resolve(undefined);
    });
    // "exit", not "close": a daemon that a command leaves behind may hold its output open.
    child.once("exit", (exitCode) => setTimeout(() => resolve(exitCode ?? undefined), 20));
  });
  clearTimeout(timer);
  child.stdout?.destroy();
  child.stderr?.destroy();
  return { code, stdout: stdout.join(""), stderr: stderr.join(""), timedOut };
}

/** In a process group of its own, so that it ends with everything it started. */
export function start(argv: readonly string[], options: RunOptions, stdio: SpawnOptions["stdio"]): ChildProcess {
  const [command = "", ...args] = argv;
  return spawn(command, args, {
    env: { ...process.env, ...options.env },
    cwd: options.cwd,
    stdio: stdio ?? "pipe",
    detached: true,
    ...(options.user === undefined ? {} : { uid: options.user.uid, gid: options.user.gid }),
  });
}

export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

function collect(stream: NodeJS.ReadableStream | null): string[] {
  const chunks: string[] = [];
  let size = 0;
  stream?.setEncoding("utf8");
  stream?.on("data", (chunk: string) => {
    size += chunk.length;
    if (size <= OUTPUT_CHARS_MAX) chunks.push(chunk);
  });
  return chunks;
}

export function isOnPath(command: string): boolean {
  return whereIs(command) !== undefined;
}

export function whereIs(command: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.map((folder) => `${folder}/${command}`).find((path) => existsSync(path));
}

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until `probe` gives a value; fails with what was seen last. */
export async function eventually<T>(what: string, timeoutMs: number, probe: () => Promise<T | string>): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const seen = await probe();
    if (typeof seen !== "string") return seen;
    if (performance.now() > endMs) throw new Error(`after ${timeoutMs} ms, still not ${what}: ${seen}`);
    await sleep(200);
  }
}
