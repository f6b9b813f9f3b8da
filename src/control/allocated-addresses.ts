// Writes the addresses that were chosen for the hosts of ServiceEntries into their status, where the next run and every
// other replica find them: an address that an application has been told stays its host's.

import type { KubeClient } from "../api/client.ts";
import { type ServiceEntry, serviceEntryKind } from "../api/istio/service-entry.ts";
import { deepEqual } from "../base/equal.ts";
import type { HostAddress } from "../model/auto-address.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import { STATUS_WRITES_MAX } from "./limits.ts";
import { SerialRun } from "./serial-run.ts";

export interface AllocatedAddressesOptions {
  readonly client: KubeClient;
  readonly log: (level: "info" | "warn", message: string) => void;
}

export class AllocatedAddresses {
  readonly #options: AllocatedAddressesOptions;
  readonly #writes = new SerialRun(() => this.#writeDue());
  #snapshot: MeshSnapshot | undefined;

  constructor(options: AllocatedAddressesOptions) {
    this.#options = options;
  }

  set(snapshot: MeshSnapshot): void {
    if (this.#snapshot?.allocation === snapshot.allocation) return;
    this.#snapshot = snapshot;
    this.#writes.trigger();
  }

  stop(): void {
    this.#writes.stop();
  }

  async #writeDue(): Promise<void> {
    const due = this.#due();
    for (let i = 0; i < due.length && !this.#writes.isStopped; i += STATUS_WRITES_MAX) {
      await Promise.all(due.slice(i, i + STATUS_WRITES_MAX).map((write) => write()));
    }
  }

  #due(): readonly (() => Promise<void>)[] {
    const { resources, allocation } = this.#snapshot ?? {};
    return [...(resources?.serviceEntries ?? [])].flatMap(([key, entry]) => {
      const wanted = allocation?.wanted.get(key) ?? [];
      const written = entry.status?.addresses ?? [];
      return deepEqual(written, wanted) ? [] : [() => this.#write(entry, wanted)];
    });
  }

  async #write(entry: ServiceEntry, addresses: readonly HostAddress[]): Promise<void> {
    const { name, namespace = "default" } = entry.metadata;
    const patch = { body: { status: { addresses } }, subresource: "status" } as const;
    const done = await this.#options.client.mergePatch(serviceEntryKind, { name, namespace }, patch);
    if (done.ok || done.error.reason === "NotFound" || this.#writes.isStopped) return;
    const text = `status of ServiceEntry ${namespace}/${name}: its addresses could not be written: ${done.error.message}`;
    this.#options.log("warn", text);
  }
}
