// One pod's life on this node: sandbox, volumes, containers in their order, status, and the end in the reverse order.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Container } from "../api/kubernetes/container.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import { ContainerRunner } from "./container-runner.ts";
import { type ContainerView, statusOf, timestamp } from "./container-state.ts";
import type { NodeContext } from "./context.ts";
import type { PodFacts } from "./facts.ts";
import {
  GRACE_DEFAULT_MS,
  KILL_WAIT_MS,
  PROXY_GRACE_MIN_MS,
  START_SETTLE_MS,
  VOLUME_REFRESH_MS,
  VOLUME_RETRY_MS,
  WITHDRAW_GRACE_SHARE,
  WITHDRAW_SETTLE_MS,
  WITHDRAW_WAIT_MS,
} from "./limits.ts";
import { type PictureContainer, podStatusOf } from "./pod-status.ts";
import { prepareContainer, translateExec } from "./prepare.ts";
import { resumeOf } from "./resume.ts";
import type { Sandbox } from "./sandbox.ts";
import type { Turn } from "./start-gate.ts";
import { StatusWriter } from "./status-writer.ts";
import { PodVolumes } from "./volumes.ts";

const PROXY_CONTAINER = "istio-proxy";
const DNS_CAPTURE = "ISTIO_META_DNS_CAPTURE";

export class PodWorker {
  readonly uid: string;
  readonly #context: NodeContext;
  readonly #status: StatusWriter;
  readonly #runners = new Map<string, ContainerRunner>();
  readonly #volumes: PodVolumes;
  readonly #directory: string;
  readonly #startTime: string;
  readonly #wakeups = new Set<() => void>();
  /** As the node took it over: its own status comes back in later versions, and a restart counts only once. */
  readonly #found: Pod;
  #pod: Pod;
  #sandbox: Sandbox | undefined;
  #initialized = false;
  #complaint: string | undefined;
  #ending: Promise<void> | undefined;
  #life: Promise<void> | undefined;

  constructor(pod: Pod, context: NodeContext) {
    this.uid = pod.metadata.uid ?? "";
    this.#found = pod;
    this.#pod = pod;
    this.#context = context;
    this.#directory = join(context.runDirectory, "pods", this.uid);
    this.#startTime = pod.status?.startTime ?? timestamp(context.clock.wallMs());
    this.#initialized = (pod.spec.initContainers ?? []).length === 0;
    this.#volumes = new PodVolumes({
      directory: this.#directory,
      claimDirectory: context.claimDirectory,
      client: context.client,
      clock: context.clock,
      apiCertificate: context.apiCertificate,
    });
    this.#status = new StatusWriter(context.client, context.clock, () => this.#picture());
  }

  get pod(): Pod {
    return this.#pod;
  }

  get sandbox(): Sandbox | undefined {
    return this.#sandbox;
  }

  runner(container: string): ContainerRunner | undefined {
    return this.#runners.get(container);
  }

  start(): void {
    this.#life ??= this.#live();
  }

  update(pod: Pod): void {
    this.#pod = pod;
  }

  /** Ends the pod: applications first, their proxy after them. A later call with less grace hastens the first. */
  end(graceMs: number): Promise<void> {
    if (this.#ending !== undefined && graceMs <= 0) for (const runner of this.#runners.values()) runner.kill();
    this.#ending ??= this.#end(graceMs);
    return this.#ending;
  }

  async #live(): Promise<void> {
    this.#status.changed();
    const turn = this.#context.starts.ask(() => this.#wake());
    await this.#until(() => turn.isHeld);
    try {
      await this.#run(turn);
    } finally {
      turn.release();
    }
  }

  async #run(turn: Turn): Promise<void> {
    if (!(await this.#prepare())) return;
    const spec = this.#pod.spec;
    for (const container of spec.initContainers ?? []) {
      if (!(await this.#runInit(container))) return;
    }
    this.#initialized = true;
    this.#changed();
    const proxies = spec.containers.filter((container) => container.name === PROXY_CONTAINER);
    for (const proxy of proxies) void this.#runnerOf(proxy, spec.restartPolicy ?? "Always").start();
    await this.#until(() => proxies.every((proxy) => this.#view(proxy.name)?.ready === true));
    if (this.#ending !== undefined) return;
    const applications = spec.containers.filter((container) => container.name !== PROXY_CONTAINER);
    const lives = applications.map((container) => this.#runnerOf(container, spec.restartPolicy ?? "Always").start());
    void this.#settled(applications).then(() => turn.release());
    await Promise.all(lives);
    if (this.#ending !== undefined || applications.length === 0) return;
    // Whatever the applications needed their proxy and the pod's address for is over.
    await this.#stopAll([...this.#runners.values()], PROXY_GRACE_MIN_MS);
    await this.#sandbox?.destroy();
    this.#changed();
  }

  /** The applications are ready, or had a moment to begin their work. */
  async #settled(applications: readonly Container[]): Promise<void> {
    let isOver = false;
    const timer = this.#context.clock.after(START_SETTLE_MS, () => {
      isOver = true;
      this.#wake();
    });
    await this.#until(() => isOver || applications.every(({ name }) => this.#view(name)?.ready === true));
    timer.cancel();
  }

  /** Sandbox and volumes; tried until they are there or the pod ends. */
  async #prepare(): Promise<boolean> {
    const { provider } = this.#context;
    const containers = [...(this.#pod.spec.initContainers ?? []), ...this.#pod.spec.containers];
    const proxies = containers.filter((container) => container.name === PROXY_CONTAINER);
    const intercepted = proxies.some((proxy) => !(proxy.args ?? []).includes("router"));
    const capturesDns = proxies.some(({ env }) =>
      (env ?? []).some(({ name, value }) => name === DNS_CAPTURE && value === "true"),
    );
    while (this.#ending === undefined) {
      try {
        mkdirSync(this.#directory, { recursive: true, mode: 0o755 });
        await this.#context.policies.settle(this.#pod);
        this.#sandbox ??= await provider.create({
          namespace: this.#namespace,
          name: this.#pod.metadata.name,
          uid: this.uid,
          proxyContainers: proxies.map((proxy) => proxy.name),
          intercepted,
          capturesDns,
          directory: this.#directory,
        });
        break;
      } catch (error) {
        const message = `Failed to create pod sandbox: ${error instanceof Error ? error.message : String(error)}`;
        this.#complain("FailedCreatePodSandBox", message);
      }
      await this.#pause(VOLUME_RETRY_MS);
    }
    this.#changed();
    while (this.#ending === undefined && this.#sandbox !== undefined) {
      const written = await this.#volumes.write(this.#facts(this.#sandbox));
      if (written.ok) break;
      this.#complain("FailedMount", written.error);
      await this.#pause(VOLUME_RETRY_MS);
    }
    this.#refreshVolumes();
    return this.#ending === undefined;
  }

  async #runInit(container: Container): Promise<boolean> {
    const sidecar = container.restartPolicy === "Always";
    const podPolicy = this.#pod.spec.restartPolicy ?? "Always";
    const runner = this.#runnerOf(container, sidecar ? "Always" : podPolicy === "Always" ? "OnFailure" : podPolicy);
    const life = runner.start();
    if (sidecar) {
      await this.#until(() => (container.name === PROXY_CONTAINER ? runner.view.ready : runner.view.started));
      return this.#ending === undefined;
    }
    await life;
    const { state } = runner.view;
    return this.#ending === undefined && state.kind === "terminated" && state.terminated.exitCode === 0;
  }

  #runnerOf(container: Container, restartPolicy: "Always" | "OnFailure" | "Never"): ContainerRunner {
    const sandbox = this.#sandbox;
    if (sandbox === undefined) throw new Error("a container needs its pod's sandbox first");
    const { clock, delays } = this.#context;
    const runner = new ContainerRunner({
      container,
      sandbox,
      restartPolicy,
      clock,
      delays,
      log: {
        root: this.#context.logDirectory,
        namespace: this.#namespace,
        pod: this.#pod.metadata.name,
        container: container.name,
      },
      podTitle: `${this.#pod.metadata.name}_${this.#namespace}(${this.uid})`,
      graceMs: this.#graceMs,
      prepare: () =>
        prepareContainer({
          container,
          context: this.#context,
          sandbox,
          facts: this.#facts(sandbox),
          volumes: this.#volumes,
          directory: this.#directory,
          note: (note) => this.#note(note, container),
        }),
      translateExec: (argv) => translateExec(container, argv, this.#context),
      resumed: resumeOf(this.#found, container.name, timestamp(clock.wallMs())),
      onChange: () => this.#changed(),
      onEvent: (event) => this.#note(event, container),
    });
    this.#runners.set(container.name, runner);
    return runner;
  }

  #facts(sandbox: Sandbox): PodFacts {
    return {
      pod: this.#pod,
      podIP: sandbox.podIP,
      nodeIP: this.#context.provider.nodeIP,
      capacity: this.#context.capacity,
    };
  }

  async #end(graceMs: number): Promise<void> {
    this.#wake();
    const helpers = new Set(this.#pod.spec.initContainers?.map(({ name }) => name));
    const all = [...this.#runners.values()];
    const isLast = (runner: ContainerRunner) => runner.name === PROXY_CONTAINER || helpers.has(runner.name);
    const deadlineMs = this.#context.clock.monotonicMs() + graceMs;
    const unused = this.#unused(graceMs);
    const applications = all.filter((runner) => !isLast(runner));
    await Promise.all(applications.map((runner) => runner.stop(graceMs, unused)));
    const leftMs = Math.max(PROXY_GRACE_MIN_MS, deadlineMs - this.#context.clock.monotonicMs());
    await this.#stopAll(all.filter(isLast), leftMs);
    const { clock } = this.#context;
    await Promise.race([this.#life, new Promise<void>((resolve) => clock.after(KILL_WAIT_MS, resolve))]);
    await this.#status.close();
    await this.#sandbox?.destroy();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** A pod that is deleted while it serves goes on until its callers know: then no call meets a closed port. */
  async #unused(graceMs: number): Promise<void> {
    const { metadata, status } = this.#pod;
    const isReady = status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True");
    if (metadata.deletionTimestamp === undefined || isReady !== true) return;
    const shareMs = graceMs / WITHDRAW_GRACE_SHARE;
    const { services, clock } = this.#context;
    if (!(await services.withdrawn(this.#pod, Math.min(shareMs, WITHDRAW_WAIT_MS)))) return;
    await new Promise<void>((resolve) => clock.after(Math.min(shareMs, WITHDRAW_SETTLE_MS), resolve));
  }

  async #stopAll(runners: readonly ContainerRunner[], graceMs: number): Promise<void> {
    await Promise.all(runners.map((runner) => runner.stop(graceMs)));
  }

  #picture(): { readonly pod: Pod; readonly status: ReturnType<typeof podStatusOf> } {
    const pod = this.#pod;
    const pictureOf = (container: Container, helper: boolean): PictureContainer => {
      const view = this.#view(container.name) ?? this.#unborn(container);
      return { status: statusOf(container, view, this.uid), finished: view.finished, helper };
    };
    const status = podStatusOf({
      pod,
      podIP: this.#sandbox?.podIP,
      nodeIP: this.#context.provider.nodeIP,
      startTime: this.#startTime,
      now: timestamp(this.#context.clock.wallMs()),
      initialized: this.#initialized,
      initContainers: (pod.spec.initContainers ?? []).map((each) => pictureOf(each, each.restartPolicy === "Always")),
      containers: pod.spec.containers.map((each) => pictureOf(each, each.name === PROXY_CONTAINER)),
    });
    return { pod, status };
  }

  #unborn(container: Container): ContainerView {
    const { restartCount, last } = resumeOf(this.#found, container.name, timestamp(this.#context.clock.wallMs()));
    const reason = this.#initialized ? "ContainerCreating" : "PodInitializing";
    const state = { kind: "waiting", reason, message: "" } as const;
    return { state, last, restartCount, started: false, ready: false, finished: false };
  }

  #view(container: string): ContainerView | undefined {
    return this.#runners.get(container)?.view;
  }

  get #namespace(): string {
    return this.#pod.metadata.namespace ?? "default";
  }

  get #graceMs(): number {
    const seconds = this.#pod.spec.terminationGracePeriodSeconds;
    return seconds === undefined ? GRACE_DEFAULT_MS : seconds * 1000;
  }

  #changed(): void {
    this.#status.changed();
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#wakeups) wake();
  }

  /** Looks again at every change; gives up when the pod ends. */
  async #until(holds: () => boolean): Promise<void> {
    while (this.#ending === undefined && !holds()) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#wakeups.delete(wake);
          resolve();
        };
        this.#wakeups.add(wake);
      });
    }
  }

  async #pause(delayMs: number): Promise<void> {
    let over = false;
    const timer = this.#context.clock.after(delayMs, () => {
      over = true;
      this.#wake();
    });
    await this.#until(() => over);
    timer.cancel();
  }

  /** What changes in ConfigMaps, Secrets and the pod's labels, and fresh tokens, reach the files. */
  #refreshVolumes(): void {
    this.#context.clock.after(VOLUME_REFRESH_MS, () => {
      const sandbox = this.#sandbox;
      if (this.#ending !== undefined || sandbox === undefined) return;
      void this.#volumes.write(this.#facts(sandbox)).then(() => this.#refreshVolumes());
    });
  }

  /** What is tried again and again is said once. */
  #complain(reason: string, message: string): void {
    if (this.#complaint === message) return;
    this.#complaint = message;
    this.#note({ type: "Warning", reason, message });
  }

  #note(
    note: { readonly type: "Normal" | "Warning"; readonly reason: string; readonly message: string },
    container?: Container,
  ): void {
    const about = { apiVersion: "v1", kind: podKind.kind, metadata: this.#pod.metadata };
    const list = this.#pod.spec.initContainers?.includes(container ?? { name: "" }) ? "initContainers" : "containers";
    const fieldPath = container === undefined ? {} : { fieldPath: `spec.${list}{${container.name}}` };
    this.#context.events.record({ about, ...fieldPath, ...note });
  }
}
