// An Event on each pod whose proxy shows a certificate that should have been renewed by now: its agent tries, and says why
// it can't, in its own log.

import { createHash } from "node:crypto";
import type { KubeClient } from "../api/client.ts";
import { eventKind } from "../api/kubernetes/event.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { type CertificateFacts, readCertificate } from "../identity/chain.ts";
import type { Connection } from "../serve/server.ts";
import { EVENTS_REMEMBERED_MAX, EXPIRY_CHECK_MS } from "./limits.ts";

/** Parts of the lifetime that are left; renewal is due at a half. */
const LEFT = [0.25, 0.1, 0] as const;

export interface ExpiryEventsOptions {
  readonly client: Pick<KubeClient, "create">;
  readonly clock: Clock;
  readonly streams: () => readonly Pick<Connection, "proxy" | "certificate">[];
  readonly log: (level: "info" | "warn", message: string) => void;
}

export class ExpiryEvents {
  readonly #options: ExpiryEventsOptions;
  /** By pod, certificate and how little is left. */
  readonly #told = new Set<string>();
  #timer: Timer | undefined;

  constructor(options: ExpiryEventsOptions) {
    this.#options = options;
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer = this.#options.clock.after(EXPIRY_CHECK_MS, () => {
      for (const stream of this.#options.streams()) this.#look(stream);
      this.#arm();
    });
  }

  #look({ proxy, certificate }: Pick<Connection, "proxy" | "certificate">): void {
    const facts = certificate === undefined ? undefined : readCertificate(certificate);
    if (facts?.ok !== true) return;
    const nowMs = this.#options.clock.wallMs();
    const { notBeforeMs, notAfterMs, serialNumber } = facts.value;
    const left = (notAfterMs - nowMs) / (notAfterMs - notBeforeMs);
    const reached = LEFT.filter((part) => left <= part).at(-1);
    if (reached === undefined) return;
    const key = `${proxy.namespace}/${proxy.pod} ${serialNumber} ${reached}`;
    if (this.#told.has(key)) return;
    if (this.#told.size >= EVENTS_REMEMBERED_MAX) this.#told.clear();
    this.#told.add(key);
    void this.#write({ namespace: proxy.namespace, name: proxy.pod }, facts.value, key);
  }

  async #write(pod: { readonly namespace: string; readonly name: string }, facts: CertificateFacts, key: string) {
    const { client, clock, log } = this.#options;
    const nowMs = clock.wallMs();
    const time = `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
    const ends = new Date(facts.notAfterMs).toISOString();
    const message =
      facts.notAfterMs > nowMs
        ? `the certificate of its proxy ends at ${ends} and was not renewed at half of its time: see the log of istio-proxy`
        : `the certificate of its proxy ended at ${ends}: others refuse it; see the log of istio-proxy`;
    log("warn", `pod ${pod.namespace}/${pod.name}: ${message}`);
    const written = await client.create(eventKind, {
      apiVersion: "v1",
      kind: "Event",
      metadata: {
        name: `${pod.name}.${createHash("sha256").update(key).digest("hex").slice(0, 16)}`,
        namespace: pod.namespace,
      },
      involvedObject: { apiVersion: "v1", kind: "Pod", ...pod },
      reason: "CertificateExpiring",
      message,
      type: "Warning",
      source: { component: "weft-control" },
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    });
    if (written.ok || written.error.reason === "AlreadyExists") return;
    log("warn", `Event about Pod ${pod.namespace}/${pod.name}: ${written.error.message}`);
  }
}
