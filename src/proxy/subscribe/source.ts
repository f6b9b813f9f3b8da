// What the data plane needs of an xDS stream: named resources in, a verdict out.

import type { Cluster } from "../../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { ClusterLoadAssignment } from "../../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import type { Listener } from "../../proto/gen/envoy/config/listener/v3/listener.ts";
import type { RouteConfiguration } from "../../proto/gen/envoy/config/route/v3/route.ts";
import type { Secret } from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";

export interface ResourceTypes {
  readonly cluster: Cluster;
  readonly endpoint: ClusterLoadAssignment;
  readonly listener: Listener;
  readonly route: RouteConfiguration;
  readonly secret: Secret;
}

export type ResourceKind = keyof ResourceTypes;

export interface Changed<K extends ResourceKind> {
  readonly name: string;
  readonly version: string;
  readonly resource: ResourceTypes[K];
}

/** One response of the control plane, for one kind. State of the world is turned into the difference before it gets here. */
export type ResourceUpdate = {
  [K in ResourceKind]: {
    readonly kind: K;
    readonly version: string;
    readonly changed: readonly Changed<K>[];
    readonly removed: readonly string[];
  };
}[ResourceKind];

/** Why a resource can't be honoured: becomes the NACK. `path` is the field's, `typeUrl` that of the message that holds it. */
export interface ResourceRefusal {
  readonly resource: string;
  readonly path: string;
  readonly typeUrl: string;
  readonly message: string;
}

export type StreamState =
  | { readonly kind: "connecting" }
  | { readonly kind: "connected"; readonly sinceMs: number }
  | { readonly kind: "disconnected"; readonly cause: string; readonly retryInMs: number };

export interface ResourceHandler {
  /** Applies what it can and returns what it refused: none is an ACK, any is a NACK (the refused ones stay as they were). */
  onUpdate(update: ResourceUpdate): readonly ResourceRefusal[];
  onState(state: StreamState): void;
}

/** Listeners and clusters are subscribed as wildcards; the rest by name, as what arrived refers to them. */
export interface ResourceSource {
  /** Whether listeners come from here, so that their first arrival is waited for. */
  readonly listeners: boolean;
  start(handler: ResourceHandler): void;
  setWanted(kind: "endpoint" | "route" | "secret", names: ReadonlySet<string>): void;
  stop(): void;
}
