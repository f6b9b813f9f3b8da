// Writes one pod's status: at most one write at a time, always the newest picture, nothing when nothing changed.

import type { KubeClient } from "../api/client.ts";
import { type Pod, type PodStatus, podKind } from "../api/kubernetes/pod.ts";
import type { Clock } from "../base/clock.ts";
import { deepEqual } from "../base/equal.ts";
import { STATUS_RETRY_MS } from "./limits.ts";

export class StatusWriter {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #read: () => { readonly pod: Pod; readonly status: PodStatus };
  #written: PodStatus | undefined;
  #wanted = false;
  #writing: Promise<void> | undefined;
  #closed = false;

  constructor(client: KubeClient, clock: Clock, read: () => { readonly pod: Pod; readonly status: PodStatus }) {
    this.#client = client;
    this.#clock = clock;
    this.#read = read;
  }

  changed(): void {
    this.#wanted = true;
    if (!this.#closed) this.#writing ??= this.#drain();
  }

  /** Writes what is still to be written, then nothing more. */
  async close(): Promise<void> {
    await this.#writing;
    this.#closed = true;
  }

  async #drain(): Promise<void> {
    // What happens in one turn of the loop becomes one write.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#wanted && !this.#closed) {
      this.#wanted = false;
      const { pod, status } = this.#read();
      if (deepEqual(status, this.#written)) continue;
      const { resourceVersion: _version, ...metadata } = pod.metadata;
      const written = await this.#client.updateStatus(podKind, { ...pod, metadata, status });
      if (written.ok) this.#written = status;
      else if (written.error.code !== 404) this.#retry();
    }
    this.#writing = undefined;
  }

  #retry(): void {
    this.#clock.after(STATUS_RETRY_MS, () => this.changed());
  }
}
