// One container's life: started, probed, restarted with growing delays, stopped with grace.

import type { Container, ContainerStateTerminated } from "../api/kubernetes/container.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { Result } from "../base/result.ts";
import { type ActionTarget, act } from "./action.ts";
import { ContainerProbes } from "./container-probes.ts";
import { type ContainerView, type RunState, terminatedBy, timestamp } from "./container-state.ts";
import { GRACE_MIN_MS, HOOK_TIMEOUT_MS, IMAGE_RETRY_MS, KILL_WAIT_MS } from "./limits.ts";
import { type LogFile, type LogLocation, openLog } from "./log-file.ts";
import type { ExitStatus, ProcessRequest, ResourceLimits, Sandbox, SandboxProcess } from "./sandbox.ts";
import { openTerminal, type Terminal } from "./terminal.ts";
import { terminationMessage } from "./termination-message.ts";

export interface Waiting {
  readonly reason: string;
  readonly message: string;
}

/** What to start. */
export interface Prepared {
  readonly request: ProcessRequest;
  readonly limits: ResourceLimits;
  /** Where the container's last words are read from. */
  readonly messageFile: string | undefined;
}

export interface RestartDelays {
  readonly baseMs: number;
  readonly maxMs: number;
  /** A run that lasted this long begins the delays anew. */
  readonly resetMs: number;
}

export interface RunnerEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface RunnerOptions {
  readonly container: Container;
  readonly sandbox: Sandbox;
  readonly restartPolicy: "Always" | "OnFailure" | "Never";
  readonly clock: Clock;
  readonly delays: RestartDelays;
  readonly log: LogLocation;
  /** For messages: `name_namespace(uid)`. */
  readonly podTitle: string;
  readonly graceMs: number;
  /** What to start; asked before every start, since images and sources change. */
  readonly prepare: () => Promise<Result<Prepared, Waiting>>;
  /** argv of a command beside the main process, where the image's programs have other names here. */
  readonly translateExec: (argv: readonly string[]) => readonly string[];
  /** Where the count of restarts and the last state go on after the node itself was restarted. */
  readonly resumed: { readonly restartCount: number; readonly last: ContainerStateTerminated | undefined };
  readonly onChange: () => void;
  readonly onEvent: (event: RunnerEvent) => void;
}

interface Run {
  readonly process: SandboxProcess;
  readonly request: ProcessRequest;
  readonly log: LogFile;
  readonly startedMs: number;
}

export class ContainerRunner {
  readonly name: string;
  readonly #options: RunnerOptions;
  #state: RunState = { kind: "waiting", reason: "ContainerCreating", message: "" };
  #last: ContainerStateTerminated | undefined;
  #restartCount: number;
  #run: Run | undefined;
  #probes: ContainerProbes | undefined;
  #failures = 0;
  #stopping = false;
  #wake: (() => void) | undefined;
  #finished = false;
  #done: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: RunnerOptions) {
    this.name = options.container.name;
    this.#options = options;
    this.#restartCount = options.resumed.restartCount;
    this.#last = options.resumed.last;
  }

  get view(): ContainerView {
    const running = this.#state.kind === "running";
    return {
      state: this.#state,
      last: this.#last,
      restartCount: this.#restartCount,
      started: running && this.#probes?.started === true,
      ready: running && !this.#stopping && this.#probes?.ready === true,
      finished: this.#finished,
    };
  }

  /** The log of the run that is going on. */
  get log(): LogFile | undefined {
    return this.#run?.log;
  }

  /** Begins; resolves when the container will not run again. */
  start(): Promise<void> {
    this.#done ??= this.#live();
    return this.#done;
  }

  /** A further process beside the container; undefined while it isn't running. */
  exec(argv: readonly string[], terminal?: Terminal): SandboxProcess | undefined {
    const run = this.#run;
    if (run === undefined || this.#state.kind !== "running") return undefined;
    const { sandbox, translateExec } = this.#options;
    const env = terminal === undefined ? run.request.env : { TERM: "xterm", ...run.request.env };
    return sandbox.exec({ ...run.request, env, argv: translateExec(argv), terminal });
  }

  /** The container's own process, while it runs. */
  get process(): SandboxProcess | undefined {
    return this.#state.kind === "running" ? this.#run?.process : undefined;
  }

  get terminal(): Terminal | undefined {
    return this.#run?.request.terminal;
  }

  /** preStop, SIGTERM once nobody calls it any more, grace, SIGKILL. Resolves when it has ended. */
  stop(graceMs: number, unused: Promise<void> = Promise.resolve()): Promise<void> {
    this.#stopped ??= this.#stop(graceMs, unused);
    return this.#stopped;
  }

  /** At once. */
  kill(): void {
    this.#stopping = true;
    this.#wake?.();
    this.#run?.process.kill("SIGKILL");
  }

  async #live(): Promise<void> {
    while (!this.#stopping) {
      const prepared = await this.#options.prepare();
      if (this.#stopping) break;
      if (!prepared.ok) {
        this.#wait(prepared.error);
        await this.#pause(IMAGE_RETRY_MS);
        continue;
      }
      const ended = await this.#runOnce(prepared.value);
      if (this.#stopping || !this.#mayRestart(ended)) break;
      await this.#backOff(ended);
    }
    // Stopped from outside, it may run again: a pod whose node goes down is not over.
    this.#finished = !this.#stopping;
    if (this.#state.kind === "waiting" && this.#last !== undefined) {
      this.#state = { kind: "terminated", terminated: this.#last };
      this.#last = undefined;
    }
    this.#options.onChange();
  }

  async #runOnce({ request, limits, messageFile }: Prepared): Promise<ContainerStateTerminated> {
    const { clock, sandbox, onEvent } = this.#options;
    const startedAt = timestamp(clock.wallMs());
    const { container } = this.#options;
    const terminal = container.tty === true ? await openTerminal() : undefined;
    const env = terminal === undefined ? request.env : { TERM: "xterm", ...request.env };
    const process = sandbox.start({ ...request, env, terminal }, limits);
    if (container.stdin !== true) process.stdin.end();
    const log = openLog(this.#options.log, this.#restartCount, clock);
    log.attach("stdout", process.stdout);
    log.attach("stderr", process.stderr);
    const run: Run = { process, request: { ...request, terminal }, log, startedMs: clock.monotonicMs() };
    this.#run = run;
    let failedToStart = false;
    const exited = process.exited.then((status) => {
      failedToStart = status.kind === "failed";
      return status;
    });
    // A command that can't be started says so before anything else happens.
    await Promise.race([exited, new Promise((resolve) => setImmediate(resolve))]);
    if (!failedToStart) await this.#started(run, startedAt);
    const status = await exited;
    this.#probes?.stop();
    this.#probes = undefined;
    this.#run = undefined;
    log.close();
    terminal?.close();
    const ended = terminatedBy(status, { startedAt, finishedAt: timestamp(clock.wallMs()) });
    const said = terminationMessage({ container, exitCode: ended.exitCode, messageFile, logPath: log.path });
    const terminated = said === undefined ? ended : { ...ended, message: said };
    if (status.kind === "failed") onEvent({ type: "Warning", reason: "Failed", message: `Error: ${status.message}` });
    if (clock.monotonicMs() - run.startedMs >= this.#options.delays.resetMs) this.#failures = 0;
    this.#enter({ kind: "terminated", terminated });
    return terminated;
  }

  async #started(run: Run, startedAt: string): Promise<void> {
    this.#options.onEvent({ type: "Normal", reason: "Started", message: `Started container ${this.name}` });
    const postStart = this.#options.container.lifecycle?.postStart;
    if (postStart !== undefined) {
      const done = act(postStart, this.#target(run), HOOK_TIMEOUT_MS);
      const result = await Promise.race([done, run.process.exited.then(() => undefined)]);
      if (result === undefined) return;
      if (result.kind === "failure") {
        this.#options.onEvent({ type: "Warning", reason: "FailedPostStartHook", message: result.message });
        void this.#endRun(run, this.#options.graceMs);
        return;
      }
    }
    this.#probes = new ContainerProbes({
      container: this.#options.container,
      clock: this.#options.clock,
      target: this.#target(run),
      onChange: this.#options.onChange,
      onEvent: this.#options.onEvent,
      onUnhealthy: (graceSeconds) => {
        void this.#endRun(run, graceSeconds === undefined ? this.#options.graceMs : graceSeconds * 1000);
      },
    });
    this.#enter({ kind: "running", startedAt });
  }

  async #stop(graceMs: number, unused: Promise<void>): Promise<void> {
    const run = this.#run;
    this.#stopping = true;
    this.#wake?.();
    this.#options.onChange();
    if (run !== undefined) {
      this.#options.onEvent({ type: "Normal", reason: "Killing", message: `Stopping container ${this.name}` });
      await this.#endRun(run, graceMs, unused);
    }
    if (this.#done !== undefined) await Promise.race([this.#done, this.#delay(KILL_WAIT_MS).elapsed]);
  }

  async #endRun(run: Run, graceMs: number, unused: Promise<void> = Promise.resolve()): Promise<void> {
    const { clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + graceMs;
    const preStop = this.#options.container.lifecycle?.preStop;
    if (preStop !== undefined && graceMs > 0) {
      const grace = this.#delay(graceMs);
      const done = act(preStop, this.#target(run), graceMs);
      const result = await Promise.race([done, run.process.exited.then(() => undefined), grace.elapsed]);
      grace.timer.cancel();
      if (typeof result === "object" && result.kind === "failure") {
        this.#options.onEvent({ type: "Warning", reason: "FailedPreStopHook", message: result.message });
      }
    }
    await Promise.race([unused, run.process.exited]);
    run.process.kill("SIGTERM");
    const left = this.#delay(Math.max(GRACE_MIN_MS, deadlineMs - clock.monotonicMs()));
    await Promise.race([run.process.exited, left.elapsed.then(() => run.process.kill("SIGKILL"))]);
    left.timer.cancel();
  }

  #target(run: Run): ActionTarget {
    const { container, sandbox, translateExec } = this.#options;
    return {
      container,
      podIP: sandbox.podIP,
      exec: (argv) => sandbox.exec({ ...run.request, argv: translateExec(argv), terminal: undefined }),
    };
  }

  #mayRestart(ended: ContainerStateTerminated): boolean {
    const policy = this.#options.restartPolicy;
    return policy === "Always" || (policy === "OnFailure" && ended.exitCode !== 0);
  }

  /** The first restart is immediate; from the second on the delay doubles. */
  async #backOff(ended: ContainerStateTerminated): Promise<void> {
    const { delays, podTitle } = this.#options;
    this.#failures += 1;
    if (this.#failures > 1) {
      const delayMs = Math.min(delays.maxMs, delays.baseMs * 2 ** Math.min(this.#failures - 2, 30));
      const what = `restarting failed container ${this.name} in pod ${podTitle}`;
      this.#last = ended;
      this.#enter({
        kind: "waiting",
        reason: "CrashLoopBackOff",
        message: `back-off ${durationText(delayMs)} restarting failed container=${this.name} pod=${podTitle}`,
      });
      this.#options.onEvent({ type: "Warning", reason: "BackOff", message: `Back-off ${what}` });
      await this.#pause(delayMs);
      if (this.#stopping) return;
    }
    this.#last = ended;
    this.#restartCount += 1;
  }

  /** Said once in an event; that it still waits is in the status. */
  #wait(waiting: Waiting): void {
    const before = this.#state;
    const isNews = before.kind !== "waiting" || before.message !== waiting.message;
    this.#enter({ kind: "waiting", ...waiting });
    if (isNews) this.#options.onEvent({ type: "Warning", reason: "Failed", message: waiting.message });
  }

  #enter(state: RunState): void {
    this.#state = state;
    this.#options.onChange();
  }

  async #pause(delayMs: number): Promise<void> {
    if (this.#stopping) return;
    const { elapsed, timer } = this.#delay(delayMs);
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([elapsed, woken]);
    timer.cancel();
    this.#wake = undefined;
  }

  #delay(delayMs: number): { readonly elapsed: Promise<void>; readonly timer: Timer } {
    let timer: Timer | undefined;
    const elapsed = new Promise<void>((resolve) => {
      timer = this.#options.clock.after(delayMs, resolve);
    });
    return { elapsed, timer: timer ?? { cancel: () => undefined } };
  }
}

function durationText(delayMs: number): string {
  const seconds = Math.round(delayMs / 1000);
  return seconds >= 60 ? `${Math.floor(seconds / 60)}m${seconds % 60}s` : `${seconds}s`;
}

export function describeExit(status: ExitStatus): number {
  switch (status.kind) {
    case "exited":
      return status.code;
    case "signaled":
    case "failed":
      return terminatedBy(status, { startedAt: "", finishedAt: "" }).exitCode;
  }
}
