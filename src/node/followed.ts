// All objects of a kind as the API has them now: a list that follows a watch.

import type { KubeClient, Watch } from "../api/client.ts";
import type { Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";

export class Followed<T extends KubeObject> {
  /** Resolves once what was there at the start is known. */
  readonly known: Promise<void>;
  readonly #objects = new Map<string, T>();
  readonly #watch: Watch;

  constructor(client: KubeClient, kind: Kind<T>, onChange: () => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.known = promise;
    this.#watch = client.watch(kind, {}, (event) => {
      if (event.type === "synced") return resolve();
      const key = keyOf(event.object);
      if (event.type !== "deleted") this.#objects.set(key, event.object);
      // Another one may have taken the name meanwhile.
      else if (this.#objects.get(key)?.metadata.uid === event.object.metadata.uid) this.#objects.delete(key);
      onChange();
    });
  }

  list(): readonly T[] {
    return [...this.#objects.values()];
  }

  /** Known from elsewhere, before the watch tells of it. */
  put(object: T): void {
    this.#objects.set(keyOf(object), object);
  }

  stop(): void {
    this.#watch.stop();
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
