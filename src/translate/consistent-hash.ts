// Consistent hashing: what a request is hashed by (on the route), and the ring that it falls on (on the cluster).

import type { LoadBalancerSettings } from "../api/istio/destination-rule.ts";
import { deepEqual } from "../base/equal.ts";
import { effectivePolicy, servicePolicy } from "../model/destination.ts";
import { visibleService } from "../model/services.ts";
import { type Cluster, Cluster_LbPolicy } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { type RouteAction, RouteAction_HashPolicy } from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { type ClientView, ruleFor } from "./view.ts";
import { durationFromText } from "./wire.ts";

type ConsistentHash = NonNullable<LoadBalancerSettings["consistentHash"]>;

const RING_SIZE_MIN = 1_024;

export function setRing(cluster: Cluster, hash: ConsistentHash): void {
  if (hash.maglev !== undefined) {
    cluster.lbPolicy = Cluster_LbPolicy.MAGLEV;
    const { tableSize = 0 } = hash.maglev;
    if (tableSize > 0) cluster.lbConfig = { $case: "maglevLbConfig", value: { tableSize } };
    return;
  }
  cluster.lbPolicy = Cluster_LbPolicy.RING_HASH;
  const minimumRingSize = hash.ringHash?.minimumRingSize || hash.minimumRingSize || RING_SIZE_MIN;
  cluster.lbConfig = {
    $case: "ringHashLbConfig",
    value: { minimumRingSize, maximumRingSize: undefined, hashFunction: 0 },
  };
}

export interface HashTarget {
  readonly host: string;
  readonly port: number;
  readonly subset: string | undefined;
}

/** Adds what the destinations' rules hash by. A retry then may meet the same host again: the hash says which it is. */
export function setHashPolicy(action: RouteAction, targets: readonly HashTarget[], view: ClientView): void {
  const found = targets.flatMap((target) => hashOf(target, view));
  const hashes = found.map(({ hash }) => hash);
  const distinct = hashes.filter((hash, i) => hashes.findIndex((other) => deepEqual(other, hash)) === i);
  action.hashPolicy = distinct.flatMap(hashPolicies);
  // A Service's affinity is no promise: a retry there goes on to another host.
  if (!found.some(({ byRule }) => byRule) || action.retryPolicy === undefined) return;
  action.retryPolicy.retryHostPredicate = [];
  action.retryPolicy.hostSelectionRetryMaxAttempts = 0;
}

interface FoundHash {
  readonly hash: ConsistentHash;
  readonly byRule: boolean;
}

function hashOf(target: HashTarget, view: ClientView): readonly FoundHash[] {
  const service = visibleService(view.snapshot.index, target.host, view.namespace);
  if (service === undefined) return [];
  const rule = ruleFor(view, service);
  const hash = servicePolicy(service, rule, target, view.snapshot.mesh).loadBalancer?.consistentHash;
  if (hash === undefined) return [];
  const byRule = effectivePolicy(rule, target.subset, target.port).loadBalancer?.consistentHash !== undefined;
  return [{ hash, byRule }];
}

function hashPolicies(hash: ConsistentHash): RouteAction_HashPolicy[] {
  const specifier = specifierOf(hash);
  return specifier === undefined ? [] : [RouteAction_HashPolicy.fromPartial({ policySpecifier: specifier })];
}

function specifierOf(hash: ConsistentHash): NonNullable<RouteAction_HashPolicy["policySpecifier"]> | undefined {
  if (hash.httpHeaderName !== undefined) {
    return { $case: "header", value: { headerName: hash.httpHeaderName, regexRewrite: undefined } };
  }
  if (hash.httpQueryParameterName !== undefined) {
    return { $case: "queryParameter", value: { name: hash.httpQueryParameterName } };
  }
  if (hash.useSourceIp === true) return { $case: "connectionProperties", value: { sourceIp: true } };
  const cookie = hash.httpCookie;
  if (cookie === undefined) return undefined;
  const ttl = cookie.ttl === undefined ? undefined : durationFromText(cookie.ttl);
  const attributes = (cookie.attributes ?? []).map(({ name, value }) => ({ name, value: value ?? "" }));
  return { $case: "cookie", value: { name: cookie.name, path: cookie.path ?? "", ttl, attributes } };
}
