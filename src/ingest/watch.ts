// Kubernetes as the source: watches every kind that the mesh is made from, and tells when a burst of changes is over.

import type { KubeClient, Watch, WatchEvent } from "../api/client.ts";
import type { KubeObject } from "../api/object.ts";
import type { Clock } from "../base/clock.ts";
import { Coalescer } from "./coalesce.ts";
import { resourceNames, SOURCES } from "./kinds.ts";
import type { ResourceName, ResourceSet, ResourceTypes, SliceEndpoint } from "./resources.ts";
import { ResourceStore } from "./store.ts";

export interface IngestOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** First when everything that exists has been read, then after each burst of changes. */
  readonly onChange: (resources: ResourceSet, waitedMs: number) => void;
  /** Each change as it arrives, for the counters. */
  readonly onEvent?: (kind: ResourceName, event: "added" | "modified" | "deleted") => void;
}

export interface Ingest {
  stop(): void;
}

/** Follows all kinds; nothing is reported before each has delivered what exists, so that no half state is pushed. */
export function startIngest(options: IngestOptions): Ingest {
  const store = new ResourceStore();
  const unsynced = new Set<ResourceName>();
  const coalescer = new Coalescer(options.clock, (waitedMs) => options.onChange(store.take(), waitedMs));
  const watches: Watch[] = [];

  const follow = <K extends ResourceName>(name: K): void => {
    const { kind, only } = SOURCES[name];
    unsynced.add(name);
    watches.push(
      options.client.watch(kind, only?.watched ?? {}, (event) => {
        if (event.type === "synced") unsynced.delete(name);
        else options.onEvent?.(name, event.type);
        const urgency = apply(store, name, event);
        if (urgency !== undefined && unsynced.size === 0) coalescer.touch(urgency);
      }),
    );
  };

  for (const name of resourceNames()) follow(name);

  return {
    stop: () => {
      for (const watch of watches) watch.stop();
      coalescer.stop();
    },
  };
}

/** What the event changed, as how soon it is to be told. */
function apply<K extends ResourceName>(
  store: ResourceStore,
  name: K,
  event: WatchEvent<ResourceTypes[K]>,
): "soon" | "now" | undefined {
  switch (event.type) {
    case "synced":
      return "now";
    case "deleted":
      if (!store.remove(name, event.object)) return undefined;
      return name === "endpointSlices" ? "now" : "soon";
    default: {
      const before = readyAddresses(store.get(name, event.object));
      if (!store.put(name, event.object)) return undefined;
      const after = new Set(readyAddresses(event.object));
      return before.some((address) => !after.has(address)) ? "now" : "soon";
    }
  }
}

/** Of an EndpointSlice; no other kind has any. */
function readyAddresses(object: KubeObject | undefined): readonly string[] {
  const endpoints: unknown = object === undefined ? undefined : Reflect.get(object, "endpoints");
  if (!Array.isArray(endpoints)) return [];
  return endpoints.flatMap((endpoint: SliceEndpoint) =>
    endpoint.conditions?.ready === false ? [] : endpoint.addresses,
  );
}
