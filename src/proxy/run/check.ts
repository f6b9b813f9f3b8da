// A bootstrap compiled and thrown away: what would be refused, before anything is bound.

import type { Bootstrap } from "../../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { CLUSTER_TYPE, compileCluster } from "../compile/cluster.ts";
import { Field } from "../compile/field.ts";
import { compileListener, LISTENER_TYPE } from "../compile/listener.ts";
import type { ResourceRefusal } from "../subscribe/source.ts";

export function checkBootstrap(bootstrap: Bootstrap): readonly ResourceRefusal[] {
  const refusals: ResourceRefusal[] = [];
  for (const cluster of bootstrap.staticResources?.clusters ?? []) {
    const field = Field.root(cluster.name, CLUSTER_TYPE);
    compileCluster(cluster, field);
    refusals.push(...field.refusals);
  }
  for (const listener of bootstrap.staticResources?.listeners ?? []) {
    const field = Field.root(listener.name, LISTENER_TYPE);
    compileListener(listener, field);
    refusals.push(...field.refusals);
  }
  return refusals;
}

/** For a log or a terminal: which resource, where in it, why, and in which message. */
export function refusalText(refusal: ResourceRefusal): string {
  const at = refusal.path === "" ? "" : `${refusal.path}: `;
  return `${refusal.resource}: ${at}${refusal.message} (${refusal.typeUrl})`;
}
