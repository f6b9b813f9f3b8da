// Watching the shop: pods from the API, calls and load from the logs, the split from the sidecars' metrics, certificates
// from the sidecars' files, and what a client without a certificate gets.

import { X509Certificate } from "node:crypto";
import { get } from "node:http";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Watch } from "../../api/client.ts";
import { type Pod, podKind } from "../../api/kubernetes/pod.ts";
import { BACK_DATE_MS } from "../../ca/limits.ts";
import type { RunningCluster } from "../running.ts";
import { Figures, type PodFigure } from "./figures.ts";
import {
  CERTIFICATE_INTERVAL_MS,
  LOG_RETRY_MS,
  PLAINTEXT_INTERVAL_MS,
  SCRAPE_INTERVAL_MS,
  SCRAPE_TIMEOUT_MS,
} from "./limits.ts";
import { askInPlaintext, inboundTarget } from "./plaintext.ts";
import { readSamples, type Sample } from "./prometheus.ts";
import { NAMESPACE, readRecord, SERVICES } from "./shop.ts";

const APPLICATION_PORT = 8080;
const PROMETHEUS_PORT = 15_090;
const REQUESTS = "envoy_cluster_upstream_rq_total";
const EJECTED = "envoy_cluster_outlier_detection_ejections_active";
const EJECTIONS = "envoy_cluster_outlier_detection_ejections_enforced_total";
const WANTED: ReadonlySet<string> = new Set([REQUESTS, EJECTED, EJECTIONS]);
const READ_CERTIFICATE = 'cat "$WEFT_FILES_ROOT/etc/certs/out/cert-chain.pem"';

export class Observer {
  readonly figures = new Figures();
  readonly #cluster: RunningCluster;
  readonly #uids = new Map<string, string>();
  readonly #followed = new Map<string, Readable | undefined>();
  #watch: Watch | undefined;
  #timers: NodeJS.Timeout[] = [];
  #stopped = false;

  constructor(cluster: RunningCluster) {
    this.#cluster = cluster;
  }

  start(): void {
    this.#watch = this.#cluster.client.watch<Pod>(podKind, { namespace: NAMESPACE }, (event) => {
      if (event.type === "synced") return;
      if (event.type === "deleted") this.#forget(event.object.metadata.name);
      else this.#see(event.object);
    });
    this.#every(SCRAPE_INTERVAL_MS, () => this.#scrape());
    this.#every(PLAINTEXT_INTERVAL_MS, () => this.#tryPlaintext());
    this.#every(CERTIFICATE_INTERVAL_MS, () => this.#readCertificates());
  }

  stop(): void {
    this.#stopped = true;
    this.#watch?.stop();
    for (const timer of this.#timers) clearInterval(timer);
    for (const stream of this.#followed.values()) stream?.destroy();
  }

  podOf(app: string): PodFigure | undefined {
    return [...this.figures.pods.values()].find((pod) => pod.app === app && pod.ip !== "" && isReady(pod));
  }

  #every(intervalMs: number, run: () => Promise<void>): void {
    let running = false;
    const tick = (): void => {
      if (running) return;
      running = true;
      void run().finally(() => {
        running = false;
      });
    };
    this.#timers.push(setInterval(tick, intervalMs));
  }

  #see(pod: Pod): void {
    const name = pod.metadata.name;
    const statuses = pod.status?.containerStatuses ?? [];
    const app = pod.metadata.labels?.["app"] ?? "";
    this.#uids.set(name, pod.metadata.uid ?? "");
    this.figures.pods.set(name, {
      name,
      app,
      ip: pod.status?.podIP ?? "",
      ready: statuses.filter((status) => status.ready).length,
      containers: pod.spec.containers.length,
      phase: pod.metadata.deletionTimestamp === undefined ? (pod.status?.phase ?? "Pending") : "Terminating",
      restarts: statuses.reduce((sum, status) => sum + status.restartCount, 0),
    });
    const started = statuses.some((status) => status.name === app && status.state?.running !== undefined);
    if (started && !this.#followed.has(name)) {
      this.#followed.set(name, undefined);
      void this.#follow(name, app);
    }
  }

  #forget(name: string): void {
    this.figures.pods.delete(name);
    this.figures.certificates.delete(name);
    this.#followed.get(name)?.destroy();
    this.#followed.delete(name);
  }

  /** The log of a container; again when it ends, since the container may have been restarted. */
  async #follow(pod: string, container: string): Promise<void> {
    let sinceMs = Date.now() - LOG_RETRY_MS;
    while (!this.#stopped && this.#followed.has(pod)) {
      const ref = { namespace: NAMESPACE, pod, uid: this.#uids.get(pod) ?? "", container };
      const opened = await this.#cluster.runtime.logs(ref, {
        follow: true,
        previous: false,
        timestamps: false,
        tailLines: undefined,
        sinceMs,
        limitBytes: undefined,
      });
      if (opened.ok) {
        this.#followed.set(pod, opened.value);
        await this.#readLines(opened.value);
      }
      sinceMs = Date.now();
      await sleep(LOG_RETRY_MS);
    }
  }

  async #readLines(stream: Readable): Promise<void> {
    stream.on("error", () => stream.destroy());
    for await (const line of createInterface({ input: stream })) {
      const record = readRecord(line);
      if (record?.kind === "probe") this.figures.addProbe(record);
      else if (record?.kind === "load") this.figures.addLoad(record, Date.now());
    }
  }

  async #scrape(): Promise<void> {
    const pod = this.podOf("frontend");
    if (pod === undefined) return;
    const text = await fetchText(`http://${pod.ip}:${PROMETHEUS_PORT}/stats/prometheus`);
    if (text === undefined) return;
    const samples = readSamples(text, WANTED).filter((sample) =>
      clusterOf(sample).endsWith(`|api.${NAMESPACE}.svc.cluster.local`),
    );
    const subset = (name: string): number => sum(samples, REQUESTS, `outbound|${APPLICATION_PORT}|${name}|`);
    this.figures.setSplit({ v1: subset("v1"), v2: subset("v2"), beta: subset("beta") });
    this.figures.ejections = {
      active: sum(samples, EJECTED, "outbound|"),
      total: sum(samples, EJECTIONS, "outbound|"),
    };
  }

  async #tryPlaintext(): Promise<void> {
    for (const service of SERVICES) {
      const pod = this.podOf(service);
      if (pod === undefined) continue;
      const target = inboundTarget(this.#cluster.mode, pod.ip, APPLICATION_PORT);
      this.figures.plaintext.set(service, await askInPlaintext(target));
    }
  }

  async #readCertificates(): Promise<void> {
    for (const pod of this.figures.pods.values()) {
      if (!isReady(pod) || this.#stopped) continue;
      const ref = {
        namespace: NAMESPACE,
        pod: pod.name,
        uid: this.#uids.get(pod.name) ?? "",
        container: "istio-proxy",
      };
      const session = await this.#cluster.runtime.exec(ref, {
        command: ["sh", "-c", READ_CERTIFICATE],
        stdin: false,
        tty: false,
      });
      if (!session.ok) continue;
      session.value.stdin.end();
      session.value.stderr.resume();
      const chunks: Buffer[] = [];
      for await (const chunk of session.value.stdout) chunks.push(Buffer.from(chunk));
      const figure = readLeaf(Buffer.concat(chunks).toString("latin1"));
      if (figure !== undefined) this.figures.certificates.set(pod.name, figure);
    }
  }
}

export function isReady(pod: PodFigure): boolean {
  return pod.containers > 0 && pod.ready === pod.containers && pod.phase === "Running";
}

function readLeaf(pem: string): { spiffe: string; issuedMs: number; notAfterMs: number } | undefined {
  if (!pem.includes("BEGIN CERTIFICATE")) return undefined;
  const leaf = new X509Certificate(pem);
  const spiffe = /URI:([^,\s]+)/.exec(leaf.subjectAltName ?? "")?.[1];
  if (spiffe === undefined) return undefined;
  return { spiffe, issuedMs: leaf.validFromDate.getTime() + BACK_DATE_MS, notAfterMs: leaf.validToDate.getTime() };
}

function clusterOf(sample: Sample): string {
  return sample.labels["cluster_name"] ?? sample.labels["envoy_cluster_name"] ?? "";
}

function sum(samples: readonly Sample[], name: string, cluster: string): number {
  return samples
    .filter((sample) => sample.name === name && clusterOf(sample).startsWith(cluster))
    .reduce((total, sample) => total + sample.value, 0);
}

function fetchText(url: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const request = get(url, { agent: false, timeout: SCRAPE_TIMEOUT_MS }, (response) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      text += chunk;
    });
    response.on("end", () => resolve(response.statusCode === 200 ? text : undefined));
    response.on("error", () => resolve(undefined));
  });
  request.on("timeout", () => request.destroy(new Error("too slow")));
  request.on("error", () => resolve(undefined));
  return promise;
}
