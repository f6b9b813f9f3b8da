// Resources as they go over the wire: named, versioned by content, encoded once for everybody.

import { createHash } from "node:crypto";
import { VersionedMap } from "../base/versioned-map.ts";
import { Cluster } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { TypedExtensionConfig } from "../proto/gen/envoy/config/core/v3/extension.ts";
import { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import { VirtualHost } from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { Secret } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { NameTable } from "../proto/gen/istio/nds.ts";
import { toBuffer } from "../proto/grpc.ts";
import { type Assignments, NO_ASSIGNMENTS } from "../translate/assignments.ts";
import type { ProxyNode } from "../translate/proxy.ts";
import type { ConfigurationPart, PartedConfiguration } from "../translate/translate.ts";
import { VERSION_LENGTH } from "./limits.ts";
import { NO_RESOURCES, ResourceList } from "./resource-list.ts";
import { renamed, takeApart } from "./virtual-hosts.ts";

/** In the order in which they are looked at. */
export const TYPES = [
  "cluster",
  "endpoint",
  "listener",
  "route",
  "virtualHost",
  "secret",
  "extension",
  "nameTable",
] as const;
export type ResourceType = (typeof TYPES)[number];

interface Messages {
  readonly cluster: Cluster;
  readonly endpoint: ClusterLoadAssignment;
  readonly listener: Listener;
  readonly route: RouteConfiguration;
  readonly virtualHost: VirtualHost;
  readonly secret: Secret;
  readonly extension: TypedExtensionConfig;
  readonly nameTable: NameTable;
}

/**
 * What a proxy asks for. `all`: everything of the type, where it names nothing; `name`: single resources;
 * `prefix`: all whose names begin with it and a slash.
 */
type Scope = "all" | "name" | "prefix";

interface TypeRow<T> {
  readonly url: string;
  /** Istio's, in metrics and debug pages. */
  readonly shortName: string;
  readonly scope: Scope;
  readonly codec: { encode(message: T): { finish(): Uint8Array } };
  readonly nameOf: (message: T) => string;
  readonly listOf: (configuration: ConfigurationPart) => readonly T[];
}

const NO_HOSTS: readonly VirtualHost[] = [];
const NO_LIST: readonly ClusterLoadAssignment[] = [];
/** A proxy has one name table, which has no name of its own. */
const NAME_TABLE = "";

const ROWS: { readonly [K in ResourceType]: TypeRow<Messages[K]> } = {
  cluster: {
    url: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    shortName: "cds",
    scope: "all",
    codec: Cluster,
    nameOf: ({ name }) => name,
    listOf: ({ clusters }) => clusters,
  },
  // Made with their clusters.
  endpoint: {
    url: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    shortName: "eds",
    scope: "name",
    codec: ClusterLoadAssignment,
    nameOf: ({ clusterName }) => clusterName,
    listOf: () => NO_LIST,
  },
  listener: {
    url: "type.googleapis.com/envoy.config.listener.v3.Listener",
    shortName: "lds",
    scope: "all",
    codec: Listener,
    nameOf: ({ name }) => name,
    listOf: ({ listeners }) => listeners,
  },
  route: {
    url: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    shortName: "rds",
    scope: "name",
    codec: RouteConfiguration,
    nameOf: ({ name }) => name,
    listOf: ({ routes }) => routes,
  },
  // Made of the route configurations, for proxies that take them apart.
  virtualHost: {
    url: "type.googleapis.com/envoy.config.route.v3.VirtualHost",
    shortName: "vhds",
    scope: "prefix",
    codec: VirtualHost,
    nameOf: ({ name }) => name,
    listOf: () => NO_HOSTS,
  },
  secret: {
    url: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
    shortName: "sds",
    scope: "name",
    codec: Secret,
    nameOf: ({ name }) => name,
    listOf: ({ secrets }) => secrets,
  },
  extension: {
    url: "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
    shortName: "ecds",
    scope: "name",
    codec: TypedExtensionConfig,
    nameOf: ({ name }) => name,
    listOf: ({ extensions }) => extensions,
  },
  nameTable: {
    url: "type.googleapis.com/istio.networking.nds.v1.NameTable",
    shortName: "nds",
    scope: "all",
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
    virtualHost: make("virtualHost"),
    secret: make("secret"),
    extension: make("extension"),
    nameTable: make("nameTable"),
  };
}

export const TYPE_URLS = perType((type) => ROWS[type].url);
export const SHORT_NAMES = perType((type) => ROWS[type].shortName);
export const SCOPES = perType((type) => ROWS[type].scope);

export interface EncodedResource {
  readonly name: string;
  /** Of the content: equal bytes have equal versions, also after a restart. That of endpoints is of their cluster too. */
  readonly version: string;
  readonly any: Any;
}

export type ResourceMap = ReadonlyMap<string, EncodedResource>;

/** What one proxy is to run. `sequence` grows with every snapshot. */
export interface EncodedConfiguration {
  readonly sequence: number;
  readonly resources: Readonly<Record<ResourceType, ResourceList>>;
}

export interface EncodeOptions {
  readonly sequence: number;
  readonly virtualHosts: ProxyNode["virtualHosts"];
}

/** Endpoints, encoded for the clusters that they are of. */
interface BoundEndpoints {
  readonly endpoints: Assignments;
  readonly bound: ResourceMap;
}

interface ApartRoutes {
  readonly routes: ResourceMap;
  readonly hosts: ResourceMap;
}

/** Remembers each message's encoding, and gives equal content the bytes that it already has. */
export class Encoder {
  readonly #byMessage = new WeakMap<object, EncodedResource>();
  /** Lists that several proxies, or several snapshots, have in common. */
  readonly #byList = new WeakMap<object, ResourceMap>();
  /** By the own part, the last list that it was a part of. */
  readonly #joined = new WeakMap<ResourceMap, ResourceList>();
  readonly #alone = new WeakMap<ResourceMap, ResourceList>();
  readonly #byRoutes = new WeakMap<readonly RouteConfiguration[], ApartRoutes>();
  readonly #byHost = new WeakMap<VirtualHost, EncodedResource>();
  readonly #ofClusters = new WeakMap<ResourceMap, BoundEndpoints>();
  #byVersion = new Map<string, WeakRef<EncodedResource>>();

  encode(configuration: PartedConfiguration, { sequence, virtualHosts }: EncodeOptions): EncodedConfiguration {
    const lists = perType((type) =>
      this.#list(configuration, (part) => (type === "endpoint" ? this.#endpoints(part) : this.#all(type, part))),
    );
    if (virtualHosts === "inline") return { sequence, resources: lists };
    const route = this.#list(configuration, ({ routes }) => this.#apart(routes).routes);
    const virtualHost = this.#list(configuration, ({ routes }) => this.#apart(routes).hosts);
    return { sequence, resources: { ...lists, route, virtualHost } };
  }

  #list({ shared, own }: PartedConfiguration, encoded: (part: ConfigurationPart) => ResourceMap): ResourceList {
    const common = encoded(shared);
    const rest = encoded(own);
    const before = rest.size === 0 ? this.#alone.get(common) : this.#joined.get(rest);
    if (before?.shared === common) return before;
    const list = new ResourceList(common, rest);
    if (rest.size === 0) this.#alone.set(common, list);
    else this.#joined.set(rest, list);
    return list;
  }

  #all<K extends ResourceType>(type: K, configuration: ConfigurationPart): ResourceMap {
    const messages = ROWS[type].listOf(configuration);
    const before = this.#byList.get(messages);
    if (before !== undefined) return before;
    const encoded = new Map<string, EncodedResource>();
    this.#byList.set(messages, encoded);
    for (const message of messages) {
      const known = this.#byMessage.get(message) ?? this.#shared(type, this.#one(type, message));
      this.#byMessage.set(message, known);
      encoded.set(known.name, known);
    }
    return encoded;
  }

  /** A later version of what was made for the same clusters: only of what differs from it anything is looked at. */
  #endpoints(configuration: ConfigurationPart): ResourceMap {
    const { endpoints } = configuration;
    if (endpoints.size === 0) return NO_RESOURCES;
    const clusters = this.#all("cluster", configuration);
    const before = this.#ofClusters.get(clusters) ?? { endpoints: NO_ASSIGNMENTS, bound: VersionedMap.of([]) };
    if (before.endpoints === endpoints) return before.bound;
    const changes = VersionedMap.changes(before.endpoints, endpoints).map((name) => {
      const message = endpoints.get(name);
      return [name, message && this.#ofCluster(message, clusters.get(name)?.version)] as const;
    });
    const bound = VersionedMap.of(before.bound).with(changes);
    this.#ofClusters.set(clusters, { endpoints, bound });
    return bound;
  }

  /**
   * With the version of its cluster in its own: a proxy that takes a changed cluster waits for its endpoints anew, and one
   * that comes back with endpoints of before the change is still to get them.
   */
  #ofCluster(message: ClusterLoadAssignment, cluster = ""): EncodedResource {
    const plain = this.#byMessage.get(message) ?? this.#one("endpoint", message);
    this.#byMessage.set(message, plain);
    const { name, version, any } = plain;
    return this.#shared("endpoint", { name, version: `${version}.${cluster}`, any });
  }

  /** The route configurations of a list without their virtual hosts, and these. */
  #apart(list: readonly RouteConfiguration[]): ApartRoutes {
    const before = this.#byRoutes.get(list);
    if (before !== undefined) return before;
    const routes = new Map<string, EncodedResource>();
    const hosts = new Map<string, EncodedResource>();
    this.#byRoutes.set(list, { routes, hosts });
    for (const config of list) {
      const parts = takeApart(config);
      const route = this.#shared("route", this.#one("route", parts.config));
      routes.set(route.name, route);
      for (const host of parts.hosts) {
        const known =
          this.#byHost.get(host) ?? this.#shared("virtualHost", this.#one("virtualHost", renamed(host, config)));
        this.#byHost.set(host, known);
        hosts.set(known.name, known);
      }
    }
    return { routes, hosts };
  }

  #one<K extends ResourceType>(type: K, message: Messages[K]): EncodedResource {
    const row = ROWS[type];
    const name = row.nameOf(message);
    const value = toBuffer(row.codec.encode(message).finish());
    const version = createHash("sha256").update(value).digest("base64url").slice(0, VERSION_LENGTH);
    return { name, version, any: { typeUrl: row.url, value } };
  }

  /** The one that all have who have this version. */
  #shared(type: ResourceType, fresh: EncodedResource): EncodedResource {
    const key = `${type} ${fresh.name} ${fresh.version}`;
    const same = this.#byVersion.get(key)?.deref();
    if (same !== undefined) return same;
    this.#byVersion.set(key, new WeakRef(fresh));
    return fresh;
  }

  /** Forgets encodings that no proxy has any more. */
  sweep(): void {
    this.#byVersion = new Map([...this.#byVersion].filter(([, reference]) => reference.deref() !== undefined));
  }
}
