// The stored object as the requested group and version shows it, and a list or table of such.

import { apiVersionOf, type Kind } from "../api/kind.ts";
import { type Event, eventKind } from "../api/kubernetes/event.ts";
import { type EventsV1Event, eventsV1Kind, fromCoreEvent, toCoreEvent } from "../api/kubernetes/events-v1.ts";
import type { KubeObject } from "../api/object.ts";
import { isRecord } from "../base/json.ts";
import type { ApiRequest } from "./http.ts";
import type { ResourceRoute } from "./route.ts";
import { type IncludeObject, type TableOptions, toTable } from "./table.ts";

const TABLE = /application\/json;[^,]*as=Table[^,]*/;

/** The kind under which objects of `kind` are stored: events of both groups are the same objects. */
export function storedKind(kind: Kind): Kind {
  return isEventsV1(kind) ? eventKind : kind;
}

function isEventsV1(kind: Kind): boolean {
  return kind.group === eventsV1Kind.group && kind.plural === eventsV1Kind.plural;
}

/** Its fields are checked after the conversion, by the stored kind's schema. */
function isEventsV1Body(body: unknown): body is EventsV1Event {
  return isRecord(body);
}

function isCoreEvent(object: KubeObject): object is Event {
  return object.kind === eventKind.kind;
}

export function toStored(kind: Kind, body: unknown): unknown {
  return isEventsV1(kind) && isEventsV1Body(body) ? toCoreEvent(body) : body;
}

export function present(route: ResourceRoute, object: KubeObject): KubeObject {
  if (isEventsV1(route.kind) && isCoreEvent(object)) return fromCoreEvent(object);
  return { ...object, apiVersion: apiVersionOf(route.kind, route.version), kind: route.kind.kind };
}

export interface Presenter {
  readonly contentType: string;
  one(object: KubeObject): object;
  many(objects: readonly KubeObject[], metadata: Readonly<Record<string, unknown>>): object;
  /** As `one`, for every event of a watch after the first: a table then needs no headers. */
  further(object: KubeObject): object;
  /** No object, only how far the watch has come. */
  bookmark(metadata: Readonly<Record<string, unknown>>): object;
}

/** Objects or tables, whatever the client accepts. */
export function presenterFor(request: ApiRequest, route: ResourceRoute, nowMs: () => number): Presenter {
  const shown = (object: KubeObject): KubeObject => present(route, object);
  if (!TABLE.test(request.accept)) {
    const version = apiVersionOf(route.kind, route.version);
    return {
      contentType: "application/json",
      one: shown,
      further: shown,
      bookmark: (metadata) => ({ kind: route.kind.kind, apiVersion: version, metadata }),
      many: (objects, metadata) => ({
        kind: `${route.kind.kind}List`,
        apiVersion: version,
        metadata,
        items: objects.map(shown),
      }),
    };
  }
  const options = (): TableOptions => ({
    nowMs: nowMs(),
    includeObject: includeObjectOf(request.query.get("includeObject")),
    present: shown,
  });
  const kind = storedKind(route.kind);
  const one = (object: KubeObject): object => {
    const { resourceVersion = "" } = object.metadata;
    return toTable(kind, [object], { resourceVersion }, options());
  };
  return {
    contentType: "application/json",
    one,
    further: (object) => ({ ...one(object), columnDefinitions: [] }),
    bookmark: (metadata) => ({
      kind: "Table",
      apiVersion: "meta.k8s.io/v1",
      metadata,
      columnDefinitions: [],
      rows: [{ cells: [], object: { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata } }],
    }),
    many: (objects, metadata) => toTable(kind, objects, metadata, options()),
  };
}

function includeObjectOf(text: string | null): IncludeObject {
  return text === "None" || text === "Object" ? text : "Metadata";
}
