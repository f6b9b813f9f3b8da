// What weft's own proxy would not take of a configuration.

import { Cluster } from "../../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../../../src/proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { Listener } from "../../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "../../../src/proto/gen/envoy/config/route/v3/route.ts";
import { ASSIGNMENT_TYPE, CLUSTER_TYPE, compileCluster, compileEndpoints } from "../../../src/proxy/compile/cluster.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileListener, LISTENER_TYPE } from "../../../src/proxy/compile/listener.ts";
import { compileRoutes } from "../../../src/proxy/compile/route.ts";
import type { ProxyConfiguration } from "../../../src/translate/translate.ts";

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

interface Kind<T> {
  readonly type: string;
  readonly codec: Codec<T>;
  readonly nameOf: (message: T) => string;
  readonly compile: (message: T, at: Field) => unknown;
}

const CLUSTERS: Kind<Cluster> = {
  type: CLUSTER_TYPE,
  codec: Cluster,
  nameOf: ({ name }) => name,
  compile: compileCluster,
};
const ASSIGNMENTS: Kind<ClusterLoadAssignment> = {
  type: ASSIGNMENT_TYPE,
  codec: ClusterLoadAssignment,
  nameOf: ({ clusterName }) => clusterName,
  compile: compileEndpoints,
};
const LISTENERS: Kind<Listener> = {
  type: LISTENER_TYPE,
  codec: Listener,
  nameOf: ({ name }) => name,
  compile: compileListener,
};
const ROUTES: Kind<RouteConfiguration> = {
  type: "RouteConfiguration",
  codec: RouteConfiguration,
  nameOf: ({ name }) => name,
  compile: compileRoutes,
};

const taken = new WeakSet<object>();

export function refusalsOf({ clusters, endpoints, listeners, routes }: ProxyConfiguration): readonly string[] {
  return [
    ...refused(CLUSTERS, clusters),
    ...refused(ASSIGNMENTS, endpoints),
    ...refused(LISTENERS, listeners),
    ...refused(ROUTES, routes),
  ];
}

/** Each message goes over the wire first, as it would; one that was taken before is taken again. */
function refused<T extends object>(kind: Kind<T>, messages: readonly T[]): readonly string[] {
  return messages.flatMap((message) => {
    if (taken.has(message)) return [];
    const at = Field.root(kind.nameOf(message), kind.type);
    kind.compile(kind.codec.decode(kind.codec.encode(message).finish()), at);
    if (at.refusals.length === 0) taken.add(message);
    return at.refusals.map((refusal) => `${refusal.resource} ${refusal.path}: ${refusal.message}`);
  });
}
