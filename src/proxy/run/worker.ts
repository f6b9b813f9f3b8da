// One of several workers: a proxy of its own in a thread, which gets its resources from the main thread and tells it what it counted.

import { workerData } from "node:worker_threads";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { Registry, type Series } from "../../observe/metrics.ts";
import { Bootstrap } from "../../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { decodeUpdate } from "../subscribe/decode.ts";
import type { ResourceHandler, ResourceSource } from "../subscribe/source.ts";
import { CELLS_PER_CLUSTER, type SharedCells } from "../upstream/breaker.ts";
import { type RunningProxy, startProxy } from "./proxy.ts";
import type { FromWorker, PlainSeries, ToWorker, Verdict, WorkerStart } from "./worker-wire.ts";

export function runWorker(): void {
  const start: WorkerStart = workerData;
  new WorkerRun(start).run();
}

class WorkerRun {
  readonly #start: WorkerStart;
  readonly #registry = new Registry();
  readonly #cells: Int32Array;
  readonly #taken: Int32Array;
  readonly #ports = new Map<string, PromiseWithResolvers<number>>();
  #places: ReadonlyMap<string, number>;
  #handler: ResourceHandler | undefined;

  constructor(start: WorkerStart) {
    this.#start = start;
    this.#cells = new Int32Array(start.cells);
    this.#taken = new Int32Array(start.taken);
    this.#places = start.places;
  }

  run(): void {
    const { index, drain, showCause, bootstrap, control } = this.#start;
    const proxy = startProxy({
      bootstrap: Bootstrap.decode(bootstrap),
      source: this.#source(),
      localSecrets: undefined,
      clock: systemClock,
      random: systemRandom,
      registry: this.#registry,
      showCause,
      worker: index,
      drain,
      listening: {
        kind: "shared",
        first: index === 0,
        bound: (listener, port) => this.#tell({ kind: "bound", listener, port }),
        portOf: (listener) => this.#port(listener).promise,
      },
      shared: {
        cells: (cluster) => this.#cellsOf(cluster),
        onEjected: (cluster, address, ms) => this.#tell({ kind: "eject", cluster, address, ms }),
      },
    });
    control.on("message", (message: ToWorker) => this.#receive(message, proxy));
    proxy.ready.then(
      () => this.#tell({ kind: "ready" }),
      (error: unknown) =>
        this.#tell({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
    );
  }

  #tell(message: FromWorker): void {
    this.#start.control.postMessage(message);
  }

  /** What it refers to is subscribed by the main thread, which compiles the same resources. */
  #source(): ResourceSource {
    return {
      listeners: this.#start.awaitsListeners,
      start: (handler) => {
        this.#handler = handler;
      },
      setWanted: () => undefined,
      stop: () => undefined,
    };
  }

  #cellsOf(cluster: string): SharedCells | undefined {
    const place = this.#places.get(cluster);
    return place === undefined ? undefined : { cells: this.#cells, at: place * CELLS_PER_CLUSTER };
  }

  #port(listener: string): PromiseWithResolvers<number> {
    const known = this.#ports.get(listener) ?? Promise.withResolvers<number>();
    this.#ports.set(listener, known);
    return known;
  }

  #receive(message: ToWorker, proxy: RunningProxy): void {
    switch (message.kind) {
      case "update":
        this.#update(message);
        break;
      case "collect": {
        const { view } = proxy;
        const report = {
          index: this.#start.index,
          series: [...this.#registry.series()].map(plain),
          clusters: view.clusters(),
          listeners: view.listeners(),
        };
        this.#tell({ kind: "collected", id: message.id, report });
        break;
      }
      case "recent":
        void Promise.resolve(proxy.view.recent()).then((recent) =>
          this.#tell({ kind: "recent", id: message.id, recent }),
        );
        break;
      case "port":
        this.#port(message.listener).resolve(message.port);
        break;
      case "eject":
        proxy.ejectHost(message.cluster, message.address, message.ms);
        break;
      case "fail":
        proxy.view.failHealthcheck(message.failing);
        break;
      case "drain-listeners":
        proxy.view.drainListeners(message.options);
        break;
      case "runtime":
        proxy.view.modifyRuntime(message.changes);
        break;
      case "reset-counters":
        proxy.view.resetCounters();
        break;
      case "drain":
        void proxy.drain().then(() => this.#tell({ kind: "drained" }));
        break;
    }
  }

  #update(message: Extract<ToWorker, { kind: "update" }>): void {
    this.#places = message.places;
    const { update, refusals } = decodeUpdate(message.update);
    const verdict: Verdict = { refusals: [...refusals, ...(this.#handler?.onUpdate(update) ?? [])] };
    this.#start.verdicts.postMessage(verdict);
    Atomics.add(this.#taken, 0, 1);
    Atomics.notify(this.#taken, 0);
  }
}

function plain({ stat, name, labels, metric }: Series): PlainSeries {
  if (metric.type !== "histogram") {
    return { stat, name, labels, metric: { type: metric.type, value: metric.handle.value } };
  }
  const { bounds, counts, sum, count } = metric.handle;
  return { stat, name, labels, metric: { type: "histogram", bounds, counts, sum, count } };
}
