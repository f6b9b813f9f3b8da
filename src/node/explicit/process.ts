// One process of a container in explicit mode: its own session and process group, tied to weft's life.

import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { Readable, Writable } from "node:stream";
import type { ExitStatus, SandboxProcess } from "../sandbox.ts";
import type { Terminal } from "../terminal.ts";
import { killGroup, type Ledger } from "./ledger.ts";

export interface LaunchRequest {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string | undefined;
  readonly podUid: string;
  readonly terminal?: Terminal | undefined;
}

export interface Launched extends SandboxProcess {
  readonly pid: number | undefined;
}

/** How long output may trail behind the exit, when a stranger holds the pipe open. */
const OUTPUT_DRAIN_MS = 500;

/** Before the command on Linux: the kernel kills it when weft dies, even if the watchdog is gone too. */
const DEATH_SIGNAL = ["setpriv", "--pdeathsig", "KILL", "--"] as const;
const hasSetpriv =
  process.platform === "linux" && ["/usr/bin/setpriv", "/bin/setpriv"].some((path) => existsSync(path));

export function launch(request: LaunchRequest, ledger: Ledger): Launched {
  const directory = request.workingDirectory ?? "/";
  const found = findProgram(request, directory);
  if (!found.ok) {
    request.terminal?.closeDevice();
    return neverRan(found.message);
  }
  const { terminal } = request;
  // With a terminal, a program of its own makes the session: only then can it have the terminal as its own.
  const argv = [...(terminal === undefined ? [] : ["setsid", "-c"]), found.path, ...request.argv.slice(1)];
  const streams = terminal === undefined ? "pipe" : terminal.device;
  const [program, ...args] = hasSetpriv ? [...DEATH_SIGNAL, ...argv] : argv;
  const child = spawn(program ?? found.path, args, {
    detached: terminal === undefined,
    cwd: directory,
    env: { ...request.env },
    stdio: [streams, streams, streams],
  });
  terminal?.closeDevice();
  const pid = child.pid;
  if (pid !== undefined) ledger.record(pid, request.podUid);
  child.stdin?.on("error", () => undefined);
  return {
    pid,
    stdin: terminal?.input ?? child.stdin ?? nowhere(),
    stdout: terminal?.output ?? child.stdout ?? Readable.from([]),
    stderr: child.stderr ?? Readable.from([]),
    exited: exitOf(child, ledger),
    kill: (signal) => {
      if (pid !== undefined && child.exitCode === null && child.signalCode === null) killGroup(pid, signal);
    },
  };
}

function exitOf(child: ChildProcess, ledger: Ledger): Promise<ExitStatus> {
  return new Promise((settle) => {
    child.once("error", (error) => settle({ kind: "failed", message: error.message }));
    child.once("exit", (code, signal) => {
      const status: ExitStatus =
        signal === null ? { kind: "exited", code: code ?? 0 } : { kind: "signaled", signal, outOfMemory: false };
      if (child.pid !== undefined) {
        // A container ends with its first process: what it started ends too.
        killGroup(child.pid, "SIGKILL");
        ledger.forget(child.pid);
      }
      const late = setTimeout(() => settle(status), OUTPUT_DRAIN_MS);
      child.once("close", () => {
        clearTimeout(late);
        settle(status);
      });
    });
  });
}

type Found = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly message: string };

function findProgram(request: LaunchRequest, directory: string): Found {
  const name = request.argv[0];
  if (name === undefined || name === "") return { ok: false, message: "the command is empty" };
  if (!isDirectory(directory)) return { ok: false, message: `working directory ${directory} does not exist` };
  if (name.includes("/")) {
    const path = isAbsolute(name) ? name : resolve(directory, name);
    if (isExecutable(path)) return { ok: true, path };
    return { ok: false, message: `exec: "${name}": ${existsSync(path) ? "permission denied" : "no such file"}` };
  }
  const searchPath = request.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin";
  for (const folder of searchPath.split(delimiter)) {
    const path = join(folder === "" ? directory : folder, name);
    if (isExecutable(path)) return { ok: true, path };
  }
  return { ok: false, message: `exec: "${name}": executable file not found in $PATH (${searchPath})` };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}

function neverRan(message: string): Launched {
  return {
    pid: undefined,
    stdin: nowhere(),
    stdout: Readable.from([]),
    stderr: Readable.from([]),
    exited: Promise.resolve({ kind: "failed", message }),
    kill: () => undefined,
  };
}
