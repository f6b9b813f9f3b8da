// One machine as a node: registers itself and runs the pods that are given to it.

import { rmSync } from "node:fs";
import { cpus, hostname, release, type as systemType, totalmem } from "node:os";
import { join } from "node:path";
import type { ApiError, KubeClient, Watch } from "../api/client.ts";
import { type Node as NodeObject, nodeKind } from "../api/kubernetes/node.ts";
import { persistentVolumeClaimKind } from "../api/kubernetes/persistent-volume-claim.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import type { PodRuntime } from "../apiserver/pod-runtime.ts";
import type { Clock } from "../base/clock.ts";
import { EventRecorder } from "../controllers/events.ts";
import type { RestartDelays } from "./container-runner.ts";
import { timestamp } from "./container-state.ts";
import type { NodeContext } from "./context.ts";
import type { ImageTable } from "./images.ts";
import {
  CLOSE_GRACE_MS,
  GRACE_DEFAULT_MS,
  PODS_MAX,
  REMOVE_RETRY_MS,
  RESTART_BASE_MS,
  RESTART_MAX_MS,
  RESTART_RESET_MS,
  STARTS_BESIDE_CPUS,
} from "./limits.ts";
import { removeLogs } from "./log-file.ts";
import { PodWorker } from "./pod-worker.ts";
import { PolicyWatch } from "./policies.ts";
import { NodeRuntime } from "./runtime.ts";
import type { SandboxProvider } from "./sandbox.ts";
import { ServiceTable } from "./services.ts";
import { StartGate } from "./start-gate.ts";
import { claimPath } from "./volumes.ts";

export interface NodeOptions {
  readonly client: KubeClient;
  readonly provider: SandboxProvider;
  readonly images: ImageTable;
  readonly clock: Clock;
  /** The cluster's data directory: `run/`, `logs/` and `volumes/` are the node's. */
  readonly dataDir: string;
  readonly nodeName: string;
  /** Runs weft; a proxy container's args come after it. */
  readonly proxyCommand: readonly string[];
  readonly proxy: NodeContext["proxy"];
  /** What every process starts with: PATH and the like. */
  readonly environment: Readonly<Record<string, string>>;
  /** For applications that talk to the API server. */
  readonly apiCertificate?: string;
  readonly restartDelays?: RestartDelays;
}

export interface Node {
  readonly name: string;
  /** Logs and exec, for the API server. */
  readonly runtime: PodRuntime;
  /** Pods that this node has at the moment. */
  readonly podCount: number;
  /** Stops every pod; nothing is left running. The pods stay in the API: the next node on this directory runs them. */
  close(): Promise<void>;
}

const VERSION = "v1.32.0+weft";

/** Resolves when the node is registered and has begun to follow its pods. */
export async function startNode(options: NodeOptions): Promise<Node> {
  const { client, clock, provider, nodeName } = options;
  // Directories of pods that an earlier run of the node could not take away.
  rmSync(join(options.dataDir, "run", "pods"), { recursive: true, force: true });
  const events = new EventRecorder(client, clock, { component: "kubelet", host: nodeName });
  const services = new ServiceTable(client, provider, clock);
  const policies = new PolicyWatch(client, provider, clock);
  const context: NodeContext = {
    nodeName,
    client,
    provider,
    images: options.images,
    clock,
    events,
    services,
    policies,
    starts: new StartGate(clock, cpus().length + STARTS_BESIDE_CPUS),
    delays: options.restartDelays ?? { baseMs: RESTART_BASE_MS, maxMs: RESTART_MAX_MS, resetMs: RESTART_RESET_MS },
    runDirectory: join(options.dataDir, "run"),
    logDirectory: join(options.dataDir, "logs"),
    claimDirectory: join(options.dataDir, "volumes"),
    proxyCommand: options.proxyCommand,
    proxy: options.proxy,
    environment: options.environment,
    apiCertificate: options.apiCertificate,
    capacity: { cpu: cpus().length, memoryBytes: totalmem() },
  };
  const problem = await register(context);
  if (problem !== undefined) {
    services.close();
    policies.close();
    throw new Error(`the node ${nodeName} could not be registered: ${problem.message}`);
  }
  return new LocalNode(context);
}

class LocalNode implements Node {
  readonly name: string;
  readonly runtime: PodRuntime;
  readonly #context: NodeContext;
  readonly #workers = new Map<string, PodWorker>();
  readonly #removals = new Map<string, { readonly graceMs: number; readonly done: Promise<void> }>();
  readonly #watches: readonly Watch[];
  #closed: Promise<void> | undefined;

  constructor(context: NodeContext) {
    this.name = context.nodeName;
    this.#context = context;
    this.runtime = new NodeRuntime(context, this.#workers);
    const pods = context.client.watch(podKind, { fieldSelector: `spec.nodeName=${this.name}` }, (event) => {
      if (event.type === "synced" || this.#closed !== undefined) return;
      if (event.object.spec.nodeName !== this.name) return;
      if (event.type === "deleted") this.#gone(event.object);
      else this.#see(event.object);
    });
    // What was kept for a claim goes with it.
    const claims = context.client.watch(persistentVolumeClaimKind, {}, (event) => {
      if (event.type !== "deleted") return;
      rmSync(claimPath(context.claimDirectory, event.object), { recursive: true, force: true });
    });
    this.#watches = [pods, claims];
  }

  get podCount(): number {
    return this.#workers.size;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #see(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const worker = this.#workers.get(uid);
    worker?.update(pod);
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.#seeEnding(pod, worker);
      return;
    }
    const over = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    if (worker !== undefined || over) return;
    if (this.#workers.size >= PODS_MAX) {
      const message = `the node runs ${PODS_MAX} pods already`;
      this.#context.events.record({ about: pod, type: "Warning", reason: "OutOfpods", message });
      return;
    }
    const born = new PodWorker(pod, this.#context);
    this.#workers.set(uid, born);
    born.start();
  }

  #seeEnding(pod: Pod, worker: PodWorker | undefined): void {
    const uid = pod.metadata.uid ?? "";
    const graceMs = graceOf(pod);
    const known = this.#removals.get(uid);
    if (known === undefined) this.#removals.set(uid, { graceMs, done: this.#remove(pod, worker) });
    else if (graceMs < known.graceMs) {
      // Deleted again with less patience than the first time.
      this.#removals.set(uid, { graceMs, done: known.done });
      this.#context.clock.after(graceMs, () => void worker?.end(0));
    }
  }

  /** Ends the pod with the grace that its deletion names, then takes it out of the API. */
  async #remove(pod: Pod, worker: PodWorker | undefined): Promise<void> {
    const uid = pod.metadata.uid ?? "";
    await worker?.end(graceOf(pod));
    await this.#context.events.flush();
    for (;;) {
      const ref = { name: pod.metadata.name, ...namespaceOf(pod) };
      const removed = await this.#context.client.remove(podKind, ref, { gracePeriodSeconds: 0, uid });
      if (removed.ok || removed.error.code === 404 || removed.error.code === 409 || this.#closed !== undefined) break;
      await new Promise<void>((resolve) => this.#context.clock.after(REMOVE_RETRY_MS, resolve));
    }
    this.#forget(pod);
  }

  /** Taken out of the API without waiting for us: what runs of it ends at once. */
  #gone(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const worker = this.#workers.get(uid);
    if (worker === undefined) this.#forget(pod);
    else void worker.end(0).then(() => this.#forget(pod));
  }

  #forget(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    this.#workers.delete(uid);
    this.#removals.delete(uid);
    const { name, namespace = "default" } = pod.metadata;
    const sameName = [...this.#workers.values()].some(
      (other) => other.pod.metadata.name === name && (other.pod.metadata.namespace ?? "default") === namespace,
    );
    if (!sameName) removeLogs(this.#context.logDirectory, namespace, name);
  }

  async #close(): Promise<void> {
    for (const watch of this.#watches) watch.stop();
    this.#context.services.close();
    this.#context.policies.close();
    await Promise.all([...this.#workers.values()].map((worker) => worker.end(CLOSE_GRACE_MS)));
    await Promise.all([...this.#removals.values()].map(({ done }) => done));
    await this.#context.events.flush();
    await this.#context.provider.close();
  }
}

function graceOf(pod: Pod): number {
  const seconds = pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds;
  return seconds === undefined ? GRACE_DEFAULT_MS : seconds * 1000;
}

function namespaceOf(pod: Pod): { readonly namespace?: string } {
  return pod.metadata.namespace === undefined ? {} : { namespace: pod.metadata.namespace };
}

async function register(context: NodeContext): Promise<ApiError | undefined> {
  const object = nodeObject(context);
  const made = await context.client.create(nodeKind, object);
  if (!made.ok && made.error.reason !== "AlreadyExists") return made.error;
  const current = await context.client.get(nodeKind, { name: context.nodeName });
  if (!current.ok) return current.error;
  const { resourceVersion: _version, ...metadata } = current.value.metadata;
  const status = object.status;
  const written = await context.client.updateStatus(nodeKind, {
    ...current.value,
    metadata,
    ...(status === undefined ? {} : { status }),
  });
  return written.ok ? undefined : written.error;
}

function nodeObject({ nodeName, provider, capacity, clock }: NodeContext): NodeObject {
  const now = timestamp(clock.wallMs());
  const amounts = {
    cpu: String(capacity.cpu),
    memory: `${Math.floor(capacity.memoryBytes / 1024)}Ki`,
    pods: String(PODS_MAX),
  };
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: nodeName,
      labels: {
        "kubernetes.io/hostname": nodeName,
        "kubernetes.io/os": process.platform,
        "kubernetes.io/arch": architecture,
        "node-role.kubernetes.io/control-plane": "",
      },
      annotations: { "weft.dev/mode": provider.mode },
    },
    status: {
      capacity: amounts,
      allocatable: amounts,
      addresses: [
        { type: "InternalIP", address: provider.nodeIP },
        { type: "Hostname", address: hostname() },
      ],
      conditions: [
        {
          type: "Ready",
          status: "True",
          reason: "KubeletReady",
          message: `weft runs pods as processes (${provider.mode} mode)`,
          lastHeartbeatTime: now,
          lastTransitionTime: now,
        },
      ],
      nodeInfo: {
        machineID: "",
        systemUUID: "",
        bootID: "",
        kernelVersion: release(),
        osImage: systemType(),
        containerRuntimeVersion: `weft://${process.versions.node}`,
        kubeletVersion: VERSION,
        kubeProxyVersion: VERSION,
        operatingSystem: process.platform,
        architecture,
      },
    },
  };
}
