// Event: what happened to an object, kept for an hour.

import type { Static } from "typebox";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { int32, objectReference, struct, text, time } from "./fields.ts";

const source = struct({}, { component: text, host: text });
const series = struct({}, { count: int32, lastObservedTime: time });
const eventSchema = struct(
  { involvedObject: objectReference },
  {
    reason: text,
    message: text,
    source,
    firstTimestamp: time,
    lastTimestamp: time,
    count: int32,
    type: text,
    eventTime: time,
    series,
    action: text,
    related: objectReference,
    reportingComponent: text,
    reportingInstance: text,
  },
);

export interface Event extends KubeObject, Static<typeof eventSchema> {}

const lastSeen = (event: Event): string | null =>
  event.series?.lastObservedTime ??
  event.lastTimestamp ??
  event.eventTime ??
  event.firstTimestamp ??
  event.metadata.creationTimestamp ??
  null;

const columns: readonly Column<Event>[] = [
  { name: "Last Seen", type: "date", priority: 0, value: lastSeen },
  { name: "Type", type: "string", priority: 0, value: (event) => event.type ?? "" },
  { name: "Reason", type: "string", priority: 0, value: (event) => event.reason ?? "" },
  {
    name: "Object",
    type: "string",
    priority: 0,
    value: ({ involvedObject }) => `${(involvedObject.kind ?? "").toLowerCase()}/${involvedObject.name ?? ""}`,
  },
  { name: "Subobject", type: "string", priority: 1, value: (event) => event.involvedObject.fieldPath ?? "" },
  {
    name: "Source",
    type: "string",
    priority: 1,
    value: (event) => {
      const component = event.source?.component ?? event.reportingComponent ?? "";
      const host = event.source?.host ?? event.reportingInstance ?? "";
      return host === "" ? component : `${component}, ${host}`;
    },
  },
  { name: "Message", type: "string", priority: 0, value: (event) => (event.message ?? "").trim() },
  {
    name: "First Seen",
    type: "date",
    priority: 1,
    value: (event) => event.firstTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? null,
  },
  { name: "Count", type: "string", priority: 1, value: (event) => String(event.series?.count ?? event.count ?? 1) },
  { name: "Name", type: "string", priority: 1, value: (event) => event.metadata.name },
];

export const eventKind: Kind<Event> = {
  group: "",
  versions: ["v1"],
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  categories: [],
  namespaced: true,
  origin: "builtin",
  subresources: [],
  schema: eventSchema,
  columns,
};
