// What every controller is made of: a queue, the watches that feed it, and a reconcile that reads the current state.

import type { ApiError, KubeClient, Watch } from "../api/client.ts";
import type { Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { EventRecorder } from "./events.ts";
import { type Outcome, WorkQueue, type WorkQueueOptions } from "./work-queue.ts";

export interface ControllerContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventRecorder;
  readonly onFailure: WorkQueueOptions["onFailure"];
}

/** What is served: definitions come and go. */
export interface ChangingKinds {
  readonly kinds: readonly Kind[];
  onChange(listener: () => void): () => void;
}

export interface Controller {
  close(): Promise<void>;
}

export interface Feed {
  /** Begins a watch that turns each change of the kind into keys of the queue. */
  watch<T extends KubeObject>(
    kind: Kind<T>,
    keys: (object: T, change: "added" | "modified" | "deleted") => readonly string[],
  ): void;
}

export interface ControllerDefinition {
  readonly name: string;
  readonly feed: (feed: Feed) => void;
  readonly reconcile: (key: string) => Promise<Outcome>;
}

export function runController(context: ControllerContext, definition: ControllerDefinition): Controller {
  const { client, clock, random, onFailure } = context;
  const queue = new WorkQueue({ name: definition.name, clock, random, reconcile: definition.reconcile, onFailure });
  const watches: Watch[] = [];
  definition.feed({
    watch: (kind, keys) => {
      const watch = client.watch(kind, {}, (event) => {
        if (event.type === "synced") return;
        for (const key of keys(event.object, event.type)) queue.add(key);
      });
      watches.push(watch);
    },
  });
  return {
    close: () => {
      for (const watch of watches) watch.stop();
      return queue.close();
    },
  };
}

/** Somebody else was faster, or the object is gone: the next look decides. */
export function isRace(error: ApiError): boolean {
  return error.code === 404 || error.code === 409;
}

export function failed(what: string, error: ApiError): Outcome {
  return { kind: "failed", message: `${what}: ${error.message}` };
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export function timestamp(clock: Clock): string {
  return `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`;
}
