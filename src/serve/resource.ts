// Resources as they go over the wire: named, versioned by content, encoded once for everybody.

import { createHash } from "node:crypto";
import { Cluster } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { toBuffer } from "../proto/grpc.ts";
import type { ProxyConfiguration } from "../translate/translate.ts";

export const TYPES = ["cluster", "endpoint", "listener", "route"] as const;
export type ResourceType = (typeof TYPES)[number];

export const TYPE_URLS: Readonly<Record<ResourceType, string>> = {
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoint: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  route: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
};

/** Istio's short names, in metrics and debug pages. */
export const SHORT_NAMES: Readonly<Record<ResourceType, string>> = {
  cluster: "cds",
  endpoint: "eds",
  listener: "lds",
  route: "rds",
};

export function typeOf(typeUrl: string): ResourceType | undefined {
  return TYPES.find((type) => TYPE_URLS[type] === typeUrl);
}

export interface EncodedResource {
  readonly name: string;
  /** Of the content: equal bytes have equal versions, also after a restart. */
  readonly version: string;
  readonly any: Any;
}

export type EncodedResources = ReadonlyMap<string, EncodedResource>;

/** What one proxy is to run. `sequence` grows with every snapshot. */
export interface EncodedConfiguration {
  readonly sequence: number;
  readonly resources: Readonly<Record<ResourceType, EncodedResources>>;
}

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
}

/** Remembers each message's encoding, and gives equal content the bytes that it already has. */
export class Encoder {
  readonly #byMessage = new WeakMap<object, EncodedResource>();
  /** Lists that several proxies, or several snapshots, have in common. */
  readonly #byList = new WeakMap<object, EncodedResources>();
  #byVersion = new Map<string, WeakRef<EncodedResource>>();

  encode(configuration: ProxyConfiguration, sequence: number): EncodedConfiguration {
    return {
      sequence,
      resources: {
        cluster: this.#all("cluster", Cluster, configuration.clusters, (each) => each.name),
        endpoint: this.#all("endpoint", ClusterLoadAssignment, configuration.endpoints, (each) => each.clusterName),
        listener: this.#all("listener", Listener, configuration.listeners, (each) => each.name),
        route: this.#all("route", RouteConfiguration, configuration.routes, (each) => each.name),
      },
    };
  }

  #all<T extends object>(
    type: ResourceType,
    codec: Codec<T>,
    messages: readonly T[],
    nameOf: (message: T) => string,
  ): EncodedResources {
    const before = this.#byList.get(messages);
    if (before !== undefined) return before;
    const encoded = new Map<string, EncodedResource>();
    this.#byList.set(messages, encoded);
    for (const message of messages) {
      const known = this.#byMessage.get(message) ?? this.#one(type, codec, { message, name: nameOf(message) });
      this.#byMessage.set(message, known);
      encoded.set(known.name, known);
    }
    return encoded;
  }

  #one<T>(type: ResourceType, codec: Codec<T>, { message, name }: { message: T; name: string }): EncodedResource {
    const value = toBuffer(codec.encode(message).finish());
    const version = createHash("sha256").update(value).digest("base64url").slice(0, 22);
    const key = `${type} ${name} ${version}`;
    const same = this.#byVersion.get(key)?.deref();
    if (same !== undefined) return same;
    const fresh: EncodedResource = { name, version, any: { typeUrl: TYPE_URLS[type], value } };
    this.#byVersion.set(key, new WeakRef(fresh));
    return fresh;
  }

  /** Forgets encodings that no proxy has any more. */
  sweep(): void {
    this.#byVersion = new Map([...this.#byVersion].filter(([, reference]) => reference.deref() !== undefined));
  }
}
