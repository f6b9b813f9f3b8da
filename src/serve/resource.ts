// Resources as they go over the wire: named, versioned by content, encoded once for everybody.

import { createHash } from "node:crypto";
import { Cluster } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { TypedExtensionConfig } from "../proto/gen/envoy/config/core/v3/extension.ts";
import { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import { Secret } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { NameTable } from "../proto/gen/istio/nds.ts";
import { toBuffer } from "../proto/grpc.ts";
import type { ProxyConfiguration } from "../translate/translate.ts";

/** In the order in which they are looked at. */
export const TYPES = ["cluster", "endpoint", "listener", "route", "secret", "extension", "nameTable"] as const;
export type ResourceType = (typeof TYPES)[number];

interface Messages {
  readonly cluster: Cluster;
  readonly endpoint: ClusterLoadAssignment;
  readonly listener: Listener;
  readonly route: RouteConfiguration;
  readonly secret: Secret;
  readonly extension: TypedExtensionConfig;
  readonly nameTable: NameTable;
}

interface TypeRow<T> {
  readonly url: string;
  /** Istio's, in metrics and debug pages. */
  readonly shortName: string;
  /** Whether a proxy that asks for the type without naming anything means all of it. */
  readonly wildcard: boolean;
  readonly codec: { encode(message: T): { finish(): Uint8Array } };
  readonly nameOf: (message: T) => string;
  readonly listOf: (configuration: ProxyConfiguration) => readonly T[];
}

/** A proxy has one name table, which has no name of its own. */
const NAME_TABLE = "";

const ROWS: { readonly [K in ResourceType]: TypeRow<Messages[K]> } = {
  cluster: {
    url: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    shortName: "cds",
    wildcard: true,
    codec: Cluster,
    nameOf: ({ name }) => name,
    listOf: ({ clusters }) => clusters,
  },
  endpoint: {
    url: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    shortName: "eds",
    wildcard: false,
    codec: ClusterLoadAssignment,
    nameOf: ({ clusterName }) => clusterName,
    listOf: ({ endpoints }) => endpoints,
  },
  listener: {
    url: "type.googleapis.com/envoy.config.listener.v3.Listener",
    shortName: "lds",
    wildcard: true,
    codec: Listener,
    nameOf: ({ name }) => name,
    listOf: ({ listeners }) => listeners,
  },
  route: {
    url: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    shortName: "rds",
    wildcard: false,
    codec: RouteConfiguration,
    nameOf: ({ name }) => name,
    listOf: ({ routes }) => routes,
  },
  secret: {
    url: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
    shortName: "sds",
    wildcard: false,
    codec: Secret,
    nameOf: ({ name }) => name,
    listOf: ({ secrets }) => secrets,
  },
  extension: {
    url: "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
    shortName: "ecds",
    wildcard: false,
    codec: TypedExtensionConfig,
    nameOf: ({ name }) => name,
    listOf: ({ extensions }) => extensions,
  },
  nameTable: {
    url: "type.googleapis.com/istio.networking.nds.v1.NameTable",
    shortName: "nds",
    wildcard: true,
    codec: NameTable,
    nameOf: () => NAME_TABLE,
    listOf: ({ nameTables }) => nameTables,
  },
};

export function typeOf(typeUrl: string): ResourceType | undefined {
  return TYPES.find((type) => ROWS[type].url === typeUrl);
}

/** One value for each type. */
export function perType<T>(make: (type: ResourceType) => T): Readonly<Record<ResourceType, T>> {
  return {
    cluster: make("cluster"),
    endpoint: make("endpoint"),
    listener: make("listener"),
    route: make("route"),
    secret: make("secret"),
    extension: make("extension"),
    nameTable: make("nameTable"),
  };
}

export const TYPE_URLS = perType((type) => ROWS[type].url);
export const SHORT_NAMES = perType((type) => ROWS[type].shortName);
export const WILDCARDS = perType((type) => ROWS[type].wildcard);

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

/** Remembers each message's encoding, and gives equal content the bytes that it already has. */
export class Encoder {
  readonly #byMessage = new WeakMap<object, EncodedResource>();
  /** Lists that several proxies, or several snapshots, have in common. */
  readonly #byList = new WeakMap<object, EncodedResources>();
  #byVersion = new Map<string, WeakRef<EncodedResource>>();

  encode(configuration: ProxyConfiguration, sequence: number): EncodedConfiguration {
    return { sequence, resources: perType((type) => this.#all(type, configuration)) };
  }

  #all<K extends ResourceType>(type: K, configuration: ProxyConfiguration): EncodedResources {
    const row = ROWS[type];
    const messages = row.listOf(configuration);
    const before = this.#byList.get(messages);
    if (before !== undefined) return before;
    const encoded = new Map<string, EncodedResource>();
    this.#byList.set(messages, encoded);
    for (const message of messages) {
      const known = this.#byMessage.get(message) ?? this.#one(type, message);
      this.#byMessage.set(message, known);
      encoded.set(known.name, known);
    }
    return encoded;
  }

  #one<K extends ResourceType>(type: K, message: Messages[K]): EncodedResource {
    const row = ROWS[type];
    const name = row.nameOf(message);
    const value = toBuffer(row.codec.encode(message).finish());
    const version = createHash("sha256").update(value).digest("base64url").slice(0, 22);
    const key = `${type} ${name} ${version}`;
    const same = this.#byVersion.get(key)?.deref();
    if (same !== undefined) return same;
    const fresh: EncodedResource = { name, version, any: { typeUrl: row.url, value } };
    this.#byVersion.set(key, new WeakRef(fresh));
    return fresh;
  }

  /** Forgets encodings that no proxy has any more. */
  sweep(): void {
    this.#byVersion = new Map([...this.#byVersion].filter(([, reference]) => reference.deref() !== undefined));
  }
}
