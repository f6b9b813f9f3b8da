// The same events as group events.k8s.io shows them: one storage, two shapes.

import type { Static } from "typebox";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { type Event, eventKind } from "./event.ts";
import { int32, objectReference, struct, text, time } from "./fields.ts";

const schema = struct(
  {},
  {
    eventTime: time,
    series: struct({}, { count: int32, lastObservedTime: time }),
    reportingController: text,
    reportingInstance: text,
    action: text,
    reason: text,
    regarding: objectReference,
    related: objectReference,
    note: text,
    type: text,
    deprecatedSource: struct({}, { component: text, host: text }),
    deprecatedFirstTimestamp: time,
    deprecatedLastTimestamp: time,
    deprecatedCount: int32,
  },
);

export interface EventsV1Event extends KubeObject, Static<typeof schema> {}

export const eventsV1Kind: Kind<EventsV1Event> = {
  ...eventKind,
  group: "events.k8s.io",
  schema,
  columns: eventKind.columns.map((column) => ({ ...column, value: (event) => column.value(toCoreEvent(event)) })),
};

export function toCoreEvent(event: EventsV1Event): Event {
  const { regarding, note, reportingController, deprecatedSource, deprecatedCount, ...rest } = event;
  const { deprecatedFirstTimestamp, deprecatedLastTimestamp, ...same } = rest;
  return compact({
    ...same,
    apiVersion: "v1",
    involvedObject: regarding ?? {},
    message: note,
    reportingComponent: reportingController,
    source: deprecatedSource,
    count: deprecatedCount,
    firstTimestamp: deprecatedFirstTimestamp,
    lastTimestamp: deprecatedLastTimestamp,
  });
}

export function fromCoreEvent(event: Event): EventsV1Event {
  const { involvedObject, message, reportingComponent, source, count, firstTimestamp, lastTimestamp, ...same } = event;
  return compact({
    ...same,
    apiVersion: "events.k8s.io/v1",
    regarding: involvedObject,
    note: message,
    reportingController: reportingComponent,
    deprecatedSource: source,
    deprecatedCount: count,
    deprecatedFirstTimestamp: firstTimestamp,
    deprecatedLastTimestamp: lastTimestamp,
  });
}

type Compacted<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Leaves out what is undefined: an absent field and an undefined one are not the same to everybody. */
function compact<T extends object>(value: T): Compacted<T> {
  const copy = { ...value };
  for (const [key, inner] of Object.entries(copy)) if (inner === undefined) Reflect.deleteProperty(copy, key);
  return copy as Compacted<T>;
}
