// What kubectl asks of a running pod: its logs, and commands in it.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Duplex, PassThrough, Readable, Writable } from "node:stream";
import type { ApiError } from "../api/client.ts";
import type { Container } from "../api/kubernetes/container.ts";
import { isPortNumber } from "../api/names.ts";
import type {
  ContainerRef,
  ExecRequest,
  ExecSession,
  LogOptions,
  NodeUsage,
  PodRuntime,
} from "../apiserver/pod-runtime.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type ContainerRunner, describeExit } from "./container-runner.ts";
import type { NodeContext } from "./context.ts";
import { ATTACH_BUFFER_BYTES_MAX, TERMINAL_DRAIN_MS } from "./limits.ts";
import { logDirectory } from "./log-file.ts";
import { followLog, readLog } from "./log-read.ts";
import type { PodWorker } from "./pod-worker.ts";
import { openTerminal, type Terminal } from "./terminal.ts";
import { UsageMeter } from "./usage.ts";

export class NodeRuntime implements PodRuntime {
  readonly #context: NodeContext;
  readonly #known: ReadonlyMap<string, PodWorker>;
  readonly #meter: UsageMeter;

  constructor(context: NodeContext, workers: ReadonlyMap<string, PodWorker>) {
    this.#context = context;
    this.#known = workers;
    this.#meter = new UsageMeter(context.clock, context.nodeName);
  }

  #worker(uid: string): PodWorker | undefined {
    return this.#known.get(uid);
  }

  #workers(): readonly PodWorker[] {
    return [...this.#known.values()];
  }

  async logs(ref: ContainerRef, options: LogOptions): Promise<Result<Readable, ApiError>> {
    const directory = logDirectory({ root: this.#context.logDirectory, ...ref });
    const runner = this.#worker(ref.uid)?.runner(ref.container);
    const runs = runsIn(directory);
    const run = options.previous ? runs.at(-2) : runs.at(-1);
    if (run === undefined && options.previous) {
      return err(badRequest(`previous terminated container "${ref.container}" in pod "${ref.pod}" not found`));
    }
    if (run === undefined) {
      const state = runner?.view.state;
      const why =
        state?.kind === "waiting" ? `: ${state.reason}${state.message === "" ? "" : `: ${state.message}`}` : "";
      return err(badRequest(`container "${ref.container}" in pod "${ref.pod}" is waiting to start${why}`));
    }
    const path = join(directory, `${run}.log`);
    const selection = {
      tailLines: options.tailLines,
      sinceMs: options.sinceMs,
      timestamps: options.timestamps,
      limitBytes: options.limitBytes,
    };
    if (!options.follow || options.previous) return ok(Readable.from([readLog(path, selection)]));
    const live = runner?.log?.path === path ? runner.log : undefined;
    return ok(followLog(path, live, selection));
  }

  async exec(ref: ContainerRef, request: ExecRequest): Promise<Result<ExecSession, ApiError>> {
    const runner = this.#runner(ref);
    if (runner === undefined) return err(notHere(ref));
    const terminal = request.tty ? await openTerminal() : undefined;
    const started = runner.exec(request.command, terminal);
    if (started === undefined) {
      terminal?.close();
      return err(notRunning(ref));
    }
    if (!request.stdin) started.stdin.end();
    const stderr = new Readable({ read: () => undefined });
    let streamOpen = true;
    started.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    const exited = started.exited.then((status) => {
      if (status.kind === "failed") stderr.push(`${status.message}\n`);
      if (streamOpen) stderr.push(null);
      streamOpen = false;
      // What still holds the terminal is not waited for; its last output is.
      if (terminal !== undefined) setTimeout(() => terminal.close(), TERMINAL_DRAIN_MS).unref();
      return { exitCode: status.kind === "failed" ? 126 : describeExit(status) };
    });
    return ok({
      stdin: started.stdin,
      stdout: started.stdout,
      stderr,
      exited,
      resize: resizeOf(terminal),
      kill: () => started.kill("SIGKILL"),
    });
  }

  async attach(ref: ContainerRef, request: { readonly stdin: boolean }): Promise<Result<ExecSession, ApiError>> {
    const runner = this.#runner(ref);
    if (runner === undefined) return err(notHere(ref));
    const { process, terminal } = runner;
    if (process === undefined) return err(notRunning(ref));
    const container = this.#container(ref);
    const stdout = tapOf(process.stdout);
    const stderr = tapOf(process.stderr);
    const takesInput = request.stdin && container?.stdin === true;
    const stdin = new Writable({
      write: (chunk, _encoding, done) => {
        if (takesInput) process.stdin.write(chunk, () => done());
        else done();
      },
      final: (done) => {
        if (takesInput && container?.stdinOnce === true) process.stdin.end();
        done();
      },
    });
    // How the container ended is in its status: the session itself went well.
    const exited = process.exited.then(() => ({ exitCode: 0 }));
    const leave = (): void => {
      stdout.destroy();
      stderr.destroy();
    };
    return ok({ stdin, stdout, stderr, exited, resize: resizeOf(terminal), kill: leave });
  }

  async dial(ref: ContainerRef, port: number): Promise<Result<Duplex, ApiError>> {
    const sandbox = this.#worker(ref.uid)?.sandbox;
    if (sandbox === undefined) return err(notHere(ref));
    if (!isPortNumber(port)) return err(badRequest(`${port} is no port`));
    try {
      return ok(await sandbox.dial(port));
    } catch (error) {
      return err({ code: 502, reason: "BadGateway", message: error instanceof Error ? error.message : String(error) });
    }
  }

  async usage(): Promise<Result<NodeUsage, ApiError>> {
    const pods = this.#workers().flatMap(({ uid, pod, sandbox }) => {
      const { name, namespace = "default" } = pod.metadata;
      return sandbox === undefined ? [] : [{ uid, name, namespace, sandbox }];
    });
    return ok(await this.#meter.usage(pods));
  }

  #runner(ref: ContainerRef): ContainerRunner | undefined {
    return this.#container(ref) === undefined ? undefined : this.#worker(ref.uid)?.runner(ref.container);
  }

  #container(ref: ContainerRef): Container | undefined {
    const spec = this.#worker(ref.uid)?.pod.spec;
    return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(({ name }) => name === ref.container);
  }
}

function resizeOf(terminal: Terminal | undefined): ExecSession["resize"] {
  return terminal === undefined ? undefined : ({ columns, rows }) => terminal.resize(columns, rows);
}

/** What the source says from now on, beside the log that reads it too; who can't follow is let go. */
function tapOf(source: Readable): Readable {
  const tap = new PassThrough({ highWaterMark: ATTACH_BUFFER_BYTES_MAX });
  const take = (chunk: Buffer): void => {
    if (!tap.write(chunk)) tap.destroy();
  };
  source.on("data", take);
  source.once("end", () => tap.end());
  source.once("close", () => tap.end());
  tap.on("close", () => source.off("data", take));
  tap.on("error", () => undefined);
  return tap;
}

/** The pod is known to the API but no worker of this node has it, or it has no such container. */
function notHere(ref: ContainerRef): ApiError {
  return {
    code: 404,
    reason: "NotFound",
    message: `container "${ref.container}" of pod "${ref.pod}" does not run here`,
  };
}

function notRunning(ref: ContainerRef): ApiError {
  return { code: 500, reason: "InternalError", message: `container not found ("${ref.container}"): it is not running` };
}

function badRequest(message: string): ApiError {
  return { code: 400, reason: "BadRequest", message };
}

/** Numbers of the runs that have a log, the newest last. */
function runsIn(directory: string): readonly number[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .map((name) => /^(\d+)\.log$/.exec(name)?.[1])
    .filter((run) => run !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}
