// What a proxy holds: the resources as they came over the wire, by name. Extensions are decoded once.

import assert from "node:assert/strict";
import { Cluster } from "../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../../src/proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { Listener } from "../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "../../src/proto/gen/envoy/config/route/v3/route.ts";
import type { Any } from "../../src/proto/gen/google/protobuf/any.ts";
import type { ProxyConfiguration } from "../../src/translate/translate.ts";

export interface Held {
  readonly listener: ReadonlyMap<string, Listener>;
  readonly route: ReadonlyMap<string, RouteConfiguration>;
  readonly cluster: ReadonlyMap<string, Cluster>;
  readonly endpoint: ReadonlyMap<string, ClusterLoadAssignment>;
}

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** All of a configuration, each message over the wire once. */
export function holding({ clusters, endpoints, listeners, routes }: ProxyConfiguration): Held {
  return {
    listener: byName(Listener, listeners, (each) => each.name),
    route: byName(RouteConfiguration, routes, (each) => each.name),
    cluster: byName(Cluster, clusters, (each) => each.name),
    endpoint: byName(ClusterLoadAssignment, endpoints, (each) => each.clusterName),
  };
}

function byName<T>(codec: Codec<T>, messages: readonly T[], nameOf: (message: T) => string): ReadonlyMap<string, T> {
  return new Map(messages.map((each) => [nameOf(each), codec.decode(codec.encode(each).finish())]));
}

const decoded = new WeakMap<Any, unknown>();

/** An extension's own message. */
export function extension<T>(any: Any, codec: Codec<T>): T {
  const known = decoded.get(any) as T | undefined;
  if (known !== undefined) return known;
  const message = codec.decode(any.value);
  decoded.set(any, message);
  return message;
}

/** The typed configuration of a filter or a transport socket. */
export function typedConfig(holder: {
  readonly name: string;
  readonly configType?: { readonly $case: string; readonly value: unknown } | undefined;
}): Any {
  const config = holder.configType;
  assert.ok(config?.$case === "typedConfig", `${holder.name} has a typed configuration`);
  return config.value as Any;
}

export function typeOf(any: Any): string {
  return any.typeUrl.slice(any.typeUrl.lastIndexOf(".") + 1);
}
