// What kubectl asks of a running pod: its logs, and commands in it.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { ApiError } from "../api/client.ts";
import type { ContainerRef, ExecRequest, ExecSession, LogOptions, PodRuntime } from "../apiserver/pod-runtime.ts";
import { err, ok, type Result } from "../base/result.ts";
import { describeExit } from "./container-runner.ts";
import type { NodeContext } from "./context.ts";
import { logDirectory } from "./log-file.ts";
import { followLog, readLog } from "./log-read.ts";
import type { PodWorker } from "./pod-worker.ts";

export class NodeRuntime implements PodRuntime {
  readonly #context: NodeContext;
  readonly #worker: (uid: string) => PodWorker | undefined;

  constructor(context: NodeContext, worker: (uid: string) => PodWorker | undefined) {
    this.#context = context;
    this.#worker = worker;
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
    const worker = this.#worker(ref.uid);
    const containers = [...(worker?.pod.spec.initContainers ?? []), ...(worker?.pod.spec.containers ?? [])];
    const container = containers.find((other) => other.name === ref.container);
    if (worker === undefined || container === undefined) {
      return err({
        code: 404,
        reason: "NotFound",
        message: `container "${ref.container}" of pod "${ref.pod}" does not run here`,
      });
    }
    const started = worker.runner(ref.container)?.exec(request.command);
    if (started === undefined) {
      return err({
        code: 500,
        reason: "InternalError",
        message: `container not found ("${ref.container}"): it is not running`,
      });
    }
    if (!request.stdin) started.stdin.end();
    const stderr = new Readable({ read: () => undefined });
    let streamOpen = true;
    started.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    const exited = started.exited.then((status) => {
      if (status.kind === "failed") stderr.push(`${status.message}\n`);
      if (streamOpen) stderr.push(null);
      streamOpen = false;
      return { exitCode: status.kind === "failed" ? 126 : describeExit(status) };
    });
    return ok({ stdin: started.stdin, stdout: started.stdout, stderr, exited, kill: () => started.kill("SIGKILL") });
  }
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
