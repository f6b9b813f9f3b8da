// Several workers under one main thread: it owns configuration, admin interface and stats, and serves no connection itself.
// A resource is accepted when it compiles here and every worker has taken it.

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { Registry } from "../../observe/metrics.ts";
import type { RecentLines } from "../../observe/recent-request.ts";
import { Bootstrap } from "../../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import type { ProxyView } from "../admin/view.ts";
import { COLLECT_MS, SHARED_CLUSTERS_MAX, WORKER_TAKES_MS } from "../limits.ts";
import { ENVOY_DRAIN } from "../stack/drain.ts";
import { encodeUpdate, TYPE_URLS } from "../subscribe/decode.ts";
import type { ResourceHandler, ResourceRefusal, ResourceSource, ResourceUpdate } from "../subscribe/source.ts";
import { CELLS_PER_CLUSTER } from "../upstream/breaker.ts";
import { requestClusters } from "./check.ts";
import { mergeClusters, mergeSeries } from "./merge.ts";
import { type ProxyOptions, type RunningProxy, startProxy } from "./proxy.ts";
import type { FromWorker, Report, ToWorker, Verdict, WorkerStart } from "./worker-wire.ts";

export interface WorkersOptions {
  readonly count: number;
  /** The file that a worker runs. */
  readonly entry: string;
  readonly logLevel: string;
  /** A worker ended though nobody told it to: the process can't go on. */
  onDeath(message: string): void;
}

export function startWorkers(options: ProxyOptions, workers: WorkersOptions): RunningProxy {
  return new Workers(options, workers);
}

interface Member {
  readonly worker: Worker;
  readonly control: MessagePort;
  readonly verdicts: MessagePort;
  readonly ready: PromiseWithResolvers<void>;
  readonly drained: PromiseWithResolvers<void>;
}

class Workers implements RunningProxy {
  readonly ready: Promise<void>;
  readonly view: ProxyView;
  readonly #main: RunningProxy;
  readonly #registry: Registry;
  readonly #members: readonly Member[];
  readonly #cells = new SharedArrayBuffer(SHARED_CLUSTERS_MAX * CELLS_PER_CLUSTER * Int32Array.BYTES_PER_ELEMENT);
  readonly #taken = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #places = new Map<string, number>();
  readonly #collecting = new Map<number, Collection<Report>>();
  readonly #recent = new Map<number, Collection<RecentLines>>();
  #collections = 0;
  #reports: readonly Report[] = [];
  #merged: Registry;
  #closing = false;

  constructor(options: ProxyOptions, workers: WorkersOptions) {
    this.#registry = options.registry;
    this.#merged = options.registry;
    this.#main = startProxy({ ...options, source: this.#listenIn(options.source), listening: { kind: "none" } });
    for (const { name } of requestClusters(options.bootstrap)) this.#place(name);
    const bootstrap = Bootstrap.encode(options.bootstrap).finish();
    this.#members = Array.from({ length: workers.count }, (_none, index) =>
      this.#start(index, { options, workers, bootstrap }),
    );
    this.ready = Promise.all([this.#main.ready, ...this.#members.map(({ ready }) => ready.promise)]).then(
      () => undefined,
    );
    this.view = this.#makeView(workers.count);
  }

  port(listener: string): number {
    const address = this.#reports[0]?.listeners.find(({ name }) => name === listener)?.address ?? "";
    return Number(address.slice(address.lastIndexOf(":") + 1));
  }

  ejectHost(cluster: string, address: string, ms: number): void {
    this.#tellAll({ kind: "eject", cluster, address, ms });
  }

  async drain(): Promise<void> {
    this.#tellAll({ kind: "drain" });
    await Promise.all([this.#main.drain(), ...this.#members.map(({ drained }) => drained.promise)]);
  }

  close(): void {
    this.#closing = true;
    this.#main.close();
    for (const { worker, control, verdicts } of this.#members) {
      control.close();
      verdicts.close();
      void worker.terminate();
    }
  }

  #start(
    index: number,
    parts: { readonly options: ProxyOptions; readonly workers: WorkersOptions; readonly bootstrap: Uint8Array },
  ): Member {
    const { options, workers, bootstrap } = parts;
    const control = new MessageChannel();
    const verdicts = new MessageChannel();
    const start: WorkerStart = {
      index,
      bootstrap,
      awaitsListeners: options.source?.listeners === true,
      drain: options.drain ?? ENVOY_DRAIN,
      showCause: options.showCause ?? true,
      logLevel: workers.logLevel,
      cells: this.#cells,
      places: this.#places,
      taken: this.#taken,
      control: control.port2,
      verdicts: verdicts.port2,
    };
    const worker = new Worker(workers.entry, {
      argv: ["worker"],
      workerData: start,
      transferList: [control.port2, verdicts.port2],
    });
    const member: Member = {
      worker,
      control: control.port1,
      verdicts: verdicts.port1,
      ready: Promise.withResolvers<void>(),
      drained: Promise.withResolvers<void>(),
    };
    const died = (cause: string) => {
      if (this.#closing) return;
      workers.onDeath(`worker ${index} ended: ${cause}`);
    };
    worker.on("error", (error: Error) => died(error.stack ?? error.message));
    worker.on("exit", (code) => died(`exit code ${code}`));
    control.port1.on("message", (message: FromWorker) => this.#receive(member, message));
    return member;
  }

  #receive(from: Member, message: FromWorker): void {
    switch (message.kind) {
      case "ready":
        from.ready.resolve();
        break;
      case "failed":
        from.ready.reject(new Error(message.message));
        break;
      case "bound":
        for (const member of this.#members) {
          if (member !== from) tell(member, { kind: "port", listener: message.listener, port: message.port });
        }
        break;
      case "eject":
        for (const member of this.#members) if (member !== from) tell(member, message);
        break;
      case "collected":
        this.#collecting.get(message.id)?.take(message.report);
        break;
      case "recent":
        this.#recent.get(message.id)?.take(message.recent);
        break;
      case "drained":
        from.drained.resolve();
        break;
    }
  }

  /** The source with ears: what the main thread accepts goes to the workers before it is acknowledged. */
  #listenIn(source: ResourceSource | undefined): ResourceSource | undefined {
    if (source === undefined) return undefined;
    return {
      listeners: source.listeners,
      start: (handler) => source.start(this.#both(handler)),
      setWanted: (kind, names) => source.setWanted(kind, names),
      stop: () => source.stop(),
    };
  }

  #both(handler: ResourceHandler): ResourceHandler {
    return {
      onUpdate: (update) => {
        const refusals = handler.onUpdate(update);
        const refused = new Set(refusals.map(({ resource }) => resource));
        return [...refusals, ...this.#handOut(update, refused)];
      },
      onState: (state) => handler.onState(state),
    };
  }

  /** Waits until every worker has it: nothing else is done on this thread meanwhile, and no connection waits for it. */
  #handOut(update: ResourceUpdate, refused: ReadonlySet<string>): readonly ResourceRefusal[] {
    const raw = encodeUpdate(update);
    const resources = raw.resources.filter(({ name }) => !refused.has(name));
    if (update.kind === "cluster") {
      for (const { name } of resources) this.#place(name);
    }
    const taken = new Int32Array(this.#taken);
    Atomics.store(taken, 0, 0);
    this.#tellAll({ kind: "update", update: { ...raw, resources }, places: this.#places });
    if (update.kind === "cluster") for (const name of update.removed) this.#places.delete(name);
    const deadline = Date.now() + WORKER_TAKES_MS;
    for (let seen = 0; seen < this.#members.length; seen = Atomics.load(taken, 0)) {
      if (Date.now() >= deadline) {
        const message = `a worker has not taken it within ${WORKER_TAKES_MS / 1000} s`;
        return [{ resource: "*", path: "", typeUrl: TYPE_URLS[update.kind], message }];
      }
      Atomics.wait(taken, 0, seen, deadline - Date.now());
    }
    return this.#members.flatMap(({ verdicts }) => {
      const verdict: Verdict | undefined = receiveMessageOnPort(verdicts)?.message;
      return verdict?.refusals ?? [];
    });
  }

  /** Cells of a cluster that is gone are only given away when nothing of it is under way any more. */
  #place(cluster: string): void {
    if (this.#places.has(cluster)) return;
    const cells = new Int32Array(this.#cells);
    const used = new Set(this.#places.values());
    for (let place = 0; place < SHARED_CLUSTERS_MAX; place += 1) {
      const at = place * CELLS_PER_CLUSTER;
      if (used.has(place) || cells.subarray(at, at + CELLS_PER_CLUSTER).some((count) => count !== 0)) continue;
      this.#places.set(cluster, place);
      return;
    }
  }

  #tellAll(message: ToWorker): void {
    for (const member of this.#members) tell(member, message);
  }

  #makeView(count: number): ProxyView {
    const { view } = this.#main;
    const merged = () => this.#merged;
    return {
      get registry() {
        return merged();
      },
      bootstrap: view.bootstrap,
      startedAtMs: view.startedAtMs,
      state: () => view.state(),
      clusters: () => {
        const dynamic = new Set(view.clusters().flatMap(({ name, addedViaApi }) => (addedViaApi ? [name] : [])));
        return mergeClusters(this.#reports).map((cluster) => ({ ...cluster, addedViaApi: dynamic.has(cluster.name) }));
      },
      listeners: () => this.#reports.find(({ index }) => index === 0)?.listeners ?? [],
      heldUp: () => view.heldUp(),
      dump: (kind) => view.dump(kind),
      certificates: () => view.certificates(),
      runtime: () => view.runtime(),
      modifyRuntime: (changes) => {
        const refused = view.modifyRuntime(changes);
        if (refused === undefined) this.#tellAll({ kind: "runtime", changes });
        return refused;
      },
      failHealthcheck: (failing) => {
        view.failHealthcheck(failing);
        this.#tellAll({ kind: "fail", failing });
      },
      drainListeners: (options) => {
        view.drainListeners(options);
        this.#tellAll({ kind: "drain-listeners", options });
      },
      recent: () => this.#recentOfAll(),
      resetCounters: () => {
        view.resetCounters();
        this.#tellAll({ kind: "reset-counters" });
      },
      refresh: () => this.#refresh(count),
    };
  }

  async #recentOfAll(): Promise<RecentLines> {
    const all = await this.#collect(this.#recent, "recent");
    return {
      lines: all.flatMap(({ lines }) => lines),
      passedOver: all.reduce((sum, { passedOver }) => sum + passedOver, 0),
    };
  }

  /** Asks every worker, and waits for those that answer in time. */
  async #collect<R>(waiting: Map<number, Collection<R>>, kind: "collect" | "recent"): Promise<readonly R[]> {
    this.#collections += 1;
    const id = this.#collections;
    const collection = new Collection<R>(this.#members.length);
    waiting.set(id, collection);
    this.#tellAll({ kind, id });
    const reports = await collection.all;
    waiting.delete(id);
    return reports;
  }

  async #refresh(count: number): Promise<void> {
    await this.#main.view.refresh();
    this.#reports = await this.#collect(this.#collecting, "collect");
    this.#merged = mergeSeries(this.#registry.series(), this.#reports);
    const scope = this.#merged.scope({ statPrefix: "", namePrefix: "envoy_", labels: {} });
    scope.gauge("server.concurrency").set(count);
    scope.gauge("listener_manager.workers_started").set(count);
  }
}

/** The workers' reports, as many as come in time. */
class Collection<R> {
  readonly all: Promise<readonly R[]>;
  readonly #reports: R[] = [];
  readonly #wanted: number;
  readonly #done: (reports: readonly R[]) => void;

  constructor(wanted: number) {
    const { promise, resolve } = Promise.withResolvers<readonly R[]>();
    this.all = promise;
    this.#done = resolve;
    this.#wanted = wanted;
    setTimeout(() => resolve(this.#reports), COLLECT_MS).unref();
  }

  take(report: R): void {
    this.#reports.push(report);
    if (this.#reports.length === this.#wanted) this.#done(this.#reports);
  }
}

function tell(member: Member, message: ToWorker): void {
  member.control.postMessage(message);
}
