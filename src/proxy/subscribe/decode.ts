// Resources as the wire carries them, to typed updates; what can't be decoded becomes a refusal.

import { Cluster } from "../../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { Listener } from "../../proto/gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "../../proto/gen/envoy/config/route/v3/route.ts";
import { Secret } from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import type { Changed, ResourceKind, ResourceRefusal, ResourceTypes, ResourceUpdate } from "./source.ts";

/** In the order in which they are asked for: what others refer to comes first. */
export const KINDS: readonly ResourceKind[] = ["cluster", "endpoint", "listener", "route", "secret"];

export const TYPE_URLS: Readonly<Record<ResourceKind, string>> = {
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoint: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  route: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  secret: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
};

export function kindOf(typeUrl: string): ResourceKind | undefined {
  return KINDS.find((kind) => TYPE_URLS[kind] === typeUrl);
}

/** All of them are subscribed, or only those that were named. */
export function isWildcard(kind: ResourceKind): boolean {
  return kind === "cluster" || kind === "listener";
}

export interface RawResource {
  /** Empty where the wire doesn't name it: the resource's own name counts. */
  readonly name: string;
  readonly version: string;
  readonly typeUrl: string;
  readonly bytes: Uint8Array;
}

export interface RawUpdate {
  readonly kind: ResourceKind;
  readonly version: string;
  readonly resources: readonly RawResource[];
  readonly removed: readonly string[];
}

export interface DecodedUpdate {
  readonly update: ResourceUpdate;
  readonly refusals: readonly ResourceRefusal[];
}

export function decodeUpdate(raw: RawUpdate): DecodedUpdate {
  const refusals: ResourceRefusal[] = [];
  const { version, removed } = raw;
  switch (raw.kind) {
    case "cluster": {
      const changed = decodeAll<"cluster">(raw, { decode: (b) => Cluster.decode(b), nameOf: (r) => r.name }, refusals);
      return { update: { kind: "cluster", version, removed, changed }, refusals };
    }
    case "endpoint": {
      const reader: Reader<"endpoint"> = {
        decode: (b) => ClusterLoadAssignment.decode(b),
        nameOf: (r) => r.clusterName,
      };
      return { update: { kind: "endpoint", version, removed, changed: decodeAll(raw, reader, refusals) }, refusals };
    }
    case "listener": {
      const reader: Reader<"listener"> = { decode: (b) => Listener.decode(b), nameOf: (r) => r.name };
      return { update: { kind: "listener", version, removed, changed: decodeAll(raw, reader, refusals) }, refusals };
    }
    case "route": {
      const reader: Reader<"route"> = { decode: (b) => RouteConfiguration.decode(b), nameOf: (r) => r.name };
      return { update: { kind: "route", version, removed, changed: decodeAll(raw, reader, refusals) }, refusals };
    }
    case "secret": {
      const reader: Reader<"secret"> = { decode: (b) => Secret.decode(b), nameOf: (r) => r.name };
      return { update: { kind: "secret", version, removed, changed: decodeAll(raw, reader, refusals) }, refusals };
    }
  }
}

interface Reader<K extends ResourceKind> {
  decode(bytes: Uint8Array): ResourceTypes[K];
  nameOf(resource: ResourceTypes[K]): string;
}

function decodeAll<K extends ResourceKind>(
  raw: RawUpdate,
  reader: Reader<K>,
  refusals: ResourceRefusal[],
): readonly Changed<K>[] {
  const expected = TYPE_URLS[raw.kind];
  const changed: Changed<K>[] = [];
  for (const { name, version, typeUrl, bytes } of raw.resources) {
    const refuse = (message: string) => refusals.push({ resource: name, path: "", typeUrl, message });
    if (typeUrl !== expected) {
      refuse(`expected a ${expected}`);
      continue;
    }
    try {
      const resource = reader.decode(bytes);
      changed.push({ name: name === "" ? reader.nameOf(resource) : name, version, resource });
    } catch (error) {
      refuse(`can't be decoded: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return changed;
}

/** The update as bytes again, for another thread. */
export function encodeUpdate(update: ResourceUpdate): RawUpdate {
  const { kind, version, removed } = update;
  const raw = (name: string, own: string, bytes: Uint8Array): RawResource => {
    return { name, version: own, typeUrl: TYPE_URLS[kind], bytes };
  };
  return { kind, version, removed, resources: encodeAll(update, raw) };
}

function encodeAll(
  update: ResourceUpdate,
  raw: (name: string, version: string, bytes: Uint8Array) => RawResource,
): readonly RawResource[] {
  switch (update.kind) {
    case "cluster":
      return update.changed.map((one) => raw(one.name, one.version, Cluster.encode(one.resource).finish()));
    case "endpoint":
      return update.changed.map((one) =>
        raw(one.name, one.version, ClusterLoadAssignment.encode(one.resource).finish()),
      );
    case "listener":
      return update.changed.map((one) => raw(one.name, one.version, Listener.encode(one.resource).finish()));
    case "route":
      return update.changed.map((one) => raw(one.name, one.version, RouteConfiguration.encode(one.resource).finish()));
    case "secret":
      return update.changed.map((one) => raw(one.name, one.version, Secret.encode(one.resource).finish()));
  }
}
