// A container: namespaces of its own (mounts, processes, host name) held by a first process that makes its mounts
// and reaps its orphans. Its main process and everything that exec starts enter these namespaces; killing the first
// process ends them all.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { Readable, Writable } from "node:stream";
import { assert } from "../../base/assert.ts";
import type { ExitStatus, ProcessRequest, SandboxProcess } from "../sandbox.ts";
import type { Terminal } from "../terminal.ts";
import type { ContainerCgroup } from "./cgroup.ts";
import {
  CONTAINER_READY_TIMEOUT_MS,
  KILL_WAIT_MS,
  OUTPUT_DRAIN_MS,
  SIGNAL_RETRY_INTERVAL_MS,
  SIGNAL_RETRY_MS,
} from "./limits.ts";

export interface ContainerTools {
  readonly nsenter: string;
  readonly unshare: string;
  readonly setsid: string;
}

export interface ContainerPlan {
  readonly tools: ContainerTools;
  readonly networkNamespace: string;
  /** Makes the mounts, in the container's new mount namespace. */
  readonly mountScript: string;
  readonly cgroup: ContainerCgroup | undefined;
}

type Readiness = { readonly kind: "ready" } | { readonly kind: "failed"; readonly reason: string };

// Waiting in the shell's own `wait` reaps orphans; the pipe from the node ends with the node. Signals sent to
// process 1 from within (`kill 1`) mean the whole container, this script's own child
// excepted. (Descriptor 4: a shell gives its background commands /dev/null as their standard input.)
const HOLD = `
echo ready
exec >/dev/null 2>&1
trap 'kill -TERM -1' TERM
trap 'kill -INT -1' INT
exec 4<&0
(trap '' TERM INT; exec cat <&4) &
while kill -0 $! 2>/dev/null; do wait; done
`;

// Signals go to a session of the process's own, so that they reach its children and not the processes around it.
// The first argument is setsid, the second the working directory.
const ENTER = `
read -r ready <&3
[ "$ready" = ready ] || { echo "weft: the container could not be made: $ready" >&2; exit 126; }
exec 3<&-
`;
const CHANGE_DIRECTORY = 'cd "$1" || exit 126; shift; unset OLDPWD; exec "$@"';

export class Container {
  readonly #plan: ContainerPlan;
  readonly #holder: ChildProcess;
  readonly #ready: Promise<Readiness>;
  readonly #gone: Promise<void>;

  constructor(plan: ContainerPlan) {
    this.#plan = plan;
    const { nsenter, unshare } = plan.tools;
    const namespaces = ["--mount", "--uts", "--pid", "--fork", "--kill-child"];
    this.#holder = spawn(
      nsenter,
      [`--net=${plan.networkNamespace}`, unshare, ...namespaces, "/bin/sh", "-s", "weft-container"],
      { stdio: ["pipe", "pipe", "pipe"], detached: true, cwd: "/", env: { PATH: HOLDER_PATH, LC_ALL: "C" } },
    );
    this.#holder.stdin?.on("error", () => undefined);
    // By its input, which then stays open: as an argument, the whole script would stand in the container's `ps`.
    this.#holder.stdin?.write(`${plan.mountScript}\n${HOLD}`);
    this.#gone = new Promise((resolve) => {
      this.#holder.on("error", () => resolve());
      this.#holder.on("exit", () => resolve());
    });
    this.#ready = readiness(this.#holder);
  }

  /** The process that the container lives for: when it ends, the container does. */
  start(request: ProcessRequest): SandboxProcess {
    const oomKillsBefore = this.#plan.cgroup?.oomKills() ?? 0;
    const child = this.#enter(request);
    child.on("exit", () => this.#end());
    const outOfMemory = () => (this.#plan.cgroup?.oomKills() ?? 0) > oomKillsBefore;
    return this.#process({ child, request }, outOfMemory, (signal) => {
      if (signal === "SIGKILL") this.#end();
      return signal === "SIGKILL";
    });
  }

  exec(request: ProcessRequest): SandboxProcess {
    return this.#process(
      { child: this.#enter(request), request },
      () => false,
      () => false,
    );
  }

  /** The PID namespace that the container's processes are in. */
  get pidNamespace(): string | undefined {
    return linkOf(`/proc/${this.#holder.pid ?? 0}/ns/pid_for_children`);
  }

  /** Ends every process of the container. */
  async kill(): Promise<void> {
    this.#end();
    await Promise.race([this.#gone, new Promise((resolve) => setTimeout(resolve, KILL_WAIT_MS).unref())]);
    await this.#plan.cgroup?.remove();
  }

  #end(): void {
    this.#holder.kill("SIGKILL");
  }

  #enter(request: ProcessRequest): ChildProcess {
    const { nsenter, setsid } = this.#plan.tools;
    const spaces = `/proc/${this.#holder.pid ?? 0}/ns`;
    const joinCgroup = (this.#plan.cgroup?.processFiles ?? []).map((file) => `echo 0 > '${file}'\n`).join("");
    const enter = [
      nsenter,
      `--net=${spaces}/net`,
      `--mount=${spaces}/mnt`,
      `--uts=${spaces}/uts`,
      `--pid=${spaces}/pid_for_children`,
    ];
    const { terminal } = request;
    const session = terminal === undefined ? [setsid] : [setsid, "-c"];
    const command = [...enter, ...session, "/bin/sh", "-c", CHANGE_DIRECTORY, "sh"];
    const streams = terminal === undefined ? "pipe" : terminal.device;
    const child = spawn(
      "/bin/sh",
      ["-c", `${ENTER}${joinCgroup}exec "$@"`, "sh", ...command, request.workingDirectory ?? "/", ...request.argv],
      { stdio: [streams, streams, streams, "pipe"], detached: true, cwd: "/", env: { ...request.env } },
    );
    terminal?.closeDevice();
    child.stdin?.on("error", () => undefined);
    const gate = child.stdio[3];
    assert(gate instanceof Writable, "the fourth stream of a started process is its gate");
    gate.on("error", () => undefined);
    this.#ready.then(
      (state) => gate.end(state.kind === "ready" ? "ready\n" : `${state.reason.replaceAll("\n", "; ")}\n`),
      () => gate.end(),
    );
    return child;
  }

  #process(
    { child, request }: { readonly child: ChildProcess; readonly request: ProcessRequest },
    outOfMemory: () => boolean,
    killAll: (signal: NodeJS.Signals) => boolean,
  ): SandboxProcess {
    return {
      ...streamsOf(child, request.terminal),
      exited: exitOf(child, outOfMemory),
      kill: (signal) => {
        if (!killAll(signal)) signalSession(child, signal);
      },
    };
  }
}

function streamsOf(
  child: ChildProcess,
  terminal: Terminal | undefined,
): Pick<SandboxProcess, "stdin" | "stdout" | "stderr"> {
  if (terminal !== undefined) return { stdin: terminal.input, stdout: terminal.output, stderr: Readable.from([]) };
  const { stdin, stdout, stderr } = child;
  assert(stdin !== null && stdout !== null && stderr !== null, "a started process has its three streams");
  return { stdin, stdout, stderr };
}

/** A process that says on its standard error why there is none. */
export function refusedProcess(message: string): SandboxProcess {
  const stdin = new Writable({ write: (_chunk, _encoding, done) => done() });
  return {
    stdin,
    stdout: Readable.from([]),
    stderr: Readable.from([Buffer.from(`${message}\n`)]),
    exited: Promise.resolve({ kind: "exited", code: 126 }),
    kill: () => undefined,
  };
}

const HOLDER_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function readiness(holder: ChildProcess): Promise<Readiness> {
  return new Promise((resolve) => {
    let errors = "";
    const timer = setTimeout(() => {
      holder.kill("SIGKILL");
      resolve({ kind: "failed", reason: `no answer within ${CONTAINER_READY_TIMEOUT_MS} ms: ${errors}` });
    }, CONTAINER_READY_TIMEOUT_MS);
    const settle = (state: Readiness) => {
      clearTimeout(timer);
      resolve(state);
    };
    holder.stderr?.on("data", (chunk: Buffer) => {
      if (errors.length < 4096) errors += chunk.toString("utf8");
    });
    holder.stdout?.once("data", () => settle({ kind: "ready" }));
    holder.on("error", (error) => settle({ kind: "failed", reason: error.message }));
    holder.on("close", (code, signal) => settle({ kind: "failed", reason: errors.trim() || `${signal ?? code}` }));
  });
}

// A descendant may hold the output open after the end of the process itself: it isn't waited for without limit.
function exitOf(child: ChildProcess, outOfMemory: () => boolean): Promise<ExitStatus> {
  return new Promise((resolve) => {
    child.on("error", () => resolve({ kind: "exited", code: 126 }));
    child.on("exit", (code, signal) => {
      const status: ExitStatus =
        signal === null
          ? { kind: "exited", code: code ?? 0 }
          : { kind: "signaled", signal, outOfMemory: signal === "SIGKILL" && outOfMemory() };
      const timer = setTimeout(() => resolve(status), OUTPUT_DRAIN_MS);
      child.on("close", () => {
        clearTimeout(timer);
        resolve(status);
      });
    });
  });
}

// nsenter waits outside for the one process it has started inside, and passes its end on, signal or code: the signal
// is for that process's session. While it is not yet started, the signal waits for it.
function signalSession(child: ChildProcess, signal: NodeJS.Signals, waitedMs = 0): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const leader = firstChild(child.pid);
  if (leader !== undefined && sessionLeader(leader)) {
    try {
      process.kill(-leader, signal);
      return;
    } catch {
      // It has just ended, and its end is on the way to us.
      return;
    }
  }
  if (waitedMs >= SIGNAL_RETRY_MS) {
    child.kill("SIGKILL");
    return;
  }
  setTimeout(() => signalSession(child, signal, waitedMs + SIGNAL_RETRY_INTERVAL_MS), SIGNAL_RETRY_INTERVAL_MS);
}

function firstChild(pid: number): number | undefined {
  try {
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    return first === undefined || first === "" ? undefined : Number(first);
  } catch {
    return undefined;
  }
}

/** Field 6 of a process's stat line is its session; the name in field 2 may hold anything, so count from its end. */
function sessionLeader(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[3]) === pid;
  } catch {
    return false;
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
