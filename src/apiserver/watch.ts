// A watch is the store's events as one selector sees them: an object that stops matching is deleted for it, one that starts is added.

import type { Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";
import type { Result } from "../base/result.ts";
import { collectionOf, type Selection } from "./resources.ts";
import { type Predicate, parseSelectors } from "./selector.ts";
import type { ApiFailure } from "./status.ts";
import type { StoreEvent } from "./store.ts";

interface SelectedEvent {
  readonly type: "added" | "modified" | "deleted";
  readonly object: KubeObject;
}

export type EventSelector = (event: StoreEvent) => SelectedEvent | undefined;

export function eventSelector(kind: Kind, selection: Selection): Result<EventSelector, ApiFailure> {
  const predicate = parseSelectors(kind, selection);
  if (!predicate.ok) return predicate;
  const collection = collectionOf(kind);
  return {
    ok: true,
    value: (event) => {
      if (event.collection !== collection) return undefined;
      if (selection.namespace !== undefined && event.object.metadata.namespace !== selection.namespace)
        return undefined;
      return selected(event, predicate.value);
    },
  };
}

function selected(event: StoreEvent, matches: Predicate): SelectedEvent | undefined {
  const before = event.previous !== undefined && matches(event.previous);
  const now = event.type !== "deleted" && matches(event.object);
  if (now) return { type: before ? "modified" : "added", object: event.object };
  if (!before || event.previous === undefined) return undefined;
  // The last state that matched, at the revision of the change that ended it.
  const { resourceVersion } = event.object.metadata;
  const last = event.type === "deleted" ? event.object : event.previous;
  return {
    type: "deleted",
    object: { ...last, metadata: { ...last.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) } },
  };
}
