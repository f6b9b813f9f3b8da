// Events as Kubernetes' components write them: what repeats is counted up, not written again.

import { randomBytes } from "node:crypto";
import type { KubeClient } from "../api/client.ts";
import { type Event, eventKind } from "../api/kubernetes/event.ts";
import type { KubeObject } from "../api/object.ts";
import type { Clock } from "../base/clock.ts";
import { BoundedQueue } from "../base/queue.ts";
import { EVENT_KEYS_MAX, EVENT_QUEUE_MAX } from "./limits.ts";

export interface EventNote {
  readonly about: KubeObject;
  /** `spec.containers{name}` when it is about one container. */
  readonly fieldPath?: string;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface EventSource {
  readonly component: string;
  readonly host?: string;
}

export class EventRecorder {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #source: EventSource;
  readonly #known = new Map<string, { readonly namespace: string; readonly name: string; count: number }>();
  readonly #queue = new BoundedQueue<EventNote>(EVENT_QUEUE_MAX);
  #writing: Promise<void> | undefined;

  constructor(client: KubeClient, clock: Clock, source: EventSource) {
    this.#client = client;
    this.#clock = clock;
    this.#source = source;
  }

  /** Never waits and never fails: an event that can't be written is lost, what it is about is not. */
  record(note: EventNote): void {
    if (!this.#queue.push(note)) return;
    this.#writing ??= this.#drain();
  }

  /** Resolves when what was recorded is written. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    for (let note = this.#queue.shift(); note !== undefined; note = this.#queue.shift()) await this.#write(note);
    this.#writing = undefined;
  }

  async #write(note: EventNote): Promise<void> {
    const key = JSON.stringify([note.about.metadata.uid, note.fieldPath, note.type, note.reason, note.message]);
    const known = this.#known.get(key);
    if (known !== undefined) {
      known.count += 1;
      const body = { count: known.count, lastTimestamp: this.#now() };
      const counted = await this.#client.mergePatch(eventKind, known, { body });
      if (counted.ok) return;
    }
    const event = this.#eventOf(note);
    const made = await this.#client.create(eventKind, event);
    if (!made.ok) return;
    if (this.#known.size >= EVENT_KEYS_MAX) this.#known.clear();
    this.#known.set(key, { namespace: event.metadata.namespace ?? "default", name: event.metadata.name, count: 1 });
  }

  #eventOf(note: EventNote): Event {
    const { about } = note;
    const namespace = about.metadata.namespace ?? "default";
    const now = this.#now();
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${about.metadata.name}.${randomBytes(8).toString("hex")}`, namespace },
      involvedObject: {
        apiVersion: about.apiVersion,
        kind: about.kind,
        name: about.metadata.name,
        ...(about.metadata.namespace === undefined ? {} : { namespace }),
        ...(about.metadata.uid === undefined ? {} : { uid: about.metadata.uid }),
        ...(note.fieldPath === undefined ? {} : { fieldPath: note.fieldPath }),
      },
      type: note.type,
      reason: note.reason,
      message: note.message,
      source: { ...this.#source },
      reportingComponent: this.#source.component,
      reportingInstance: this.#source.host ?? "",
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
  }

  #now(): string {
    return `${new Date(this.#clock.wallMs()).toISOString().slice(0, 19)}Z`;
  }
}
