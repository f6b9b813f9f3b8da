// A bootstrap compiled and thrown away: what would be refused, before anything is bound.

import type { Bootstrap } from "../../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import type { Cluster } from "../../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { BOOTSTRAP_TYPE, compileBootstrap } from "../compile/bootstrap.ts";
import { CLUSTER_TYPE, compileCluster } from "../compile/cluster.ts";
import { Field } from "../compile/field.ts";
import { compileListener, LISTENER_TYPE } from "../compile/listener.ts";
import type { ResourceRefusal } from "../subscribe/source.ts";
import { readSources } from "../subscribe/sources.ts";
import { Runtime } from "./runtime.ts";

export function checkBootstrap(bootstrap: Bootstrap): readonly ResourceRefusal[] {
  const own = Field.root("bootstrap", BOOTSTRAP_TYPE);
  const { layers } = compileBootstrap(bootstrap, own);
  const runtime = new Runtime(layers);
  const sources = readSources(bootstrap);
  if (!sources.ok) own.refuse(sources.error);
  const refusals: ResourceRefusal[] = [...own.refusals];
  for (const cluster of requestClusters(bootstrap)) {
    const field = Field.root(cluster.name, CLUSTER_TYPE, runtime);
    compileCluster(cluster, field);
    refusals.push(...field.refusals);
  }
  for (const listener of bootstrap.staticResources?.listeners ?? []) {
    const field = Field.root(listener.name, LISTENER_TYPE, runtime);
    compileListener(listener, field);
    refusals.push(...field.refusals);
  }
  return refusals;
}

/**
 * The static clusters that requests may go to. That of the control plane is the stream's own, which speaks HTTP/2 there;
 * what it says is read by the stream.
 */
export function requestClusters(bootstrap: Bootstrap): readonly Cluster[] {
  const names = bootstrap.dynamicResources?.adsConfig?.grpcServices.map(({ targetSpecifier: target }) => {
    return target?.$case === "envoyGrpc" ? target.value.clusterName : undefined;
  });
  return (bootstrap.staticResources?.clusters ?? []).filter(({ name }) => names?.includes(name) !== true);
}

/** For a log or a terminal: which resource, where in it, why, and in which message. */
export function refusalText(refusal: ResourceRefusal): string {
  const at = refusal.path === "" ? "" : `${refusal.path}: `;
  return `${refusal.resource}: ${at}${refusal.message} (${refusal.typeUrl})`;
}
