// The words of Istio's standard metrics: who calls whom, as labels name it, and where each of it is learned from.

import { canonicalRevision, canonicalService } from "../api/workload-name.ts";
import { isRecord } from "../base/json.ts";
import type { Labels } from "./metrics.ts";

export const UNKNOWN = "unknown";
/** Upper bounds of the buckets of sizes. */
export const ISTIO_BYTES = [
  1, 10, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000, 100_000_000,
];

/** One end of a call, as the labels name it. */
export interface Workload {
  readonly workload: string;
  readonly namespace: string;
  readonly app: string;
  readonly version: string;
  readonly cluster: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
}

export const NOBODY: Workload = {
  workload: UNKNOWN,
  namespace: UNKNOWN,
  app: UNKNOWN,
  version: UNKNOWN,
  cluster: UNKNOWN,
  canonicalService: UNKNOWN,
  canonicalRevision: "latest",
};

export function workloadLabels(side: "source" | "destination", one: Workload, principal: string | undefined): Labels {
  return {
    [`${side}_workload`]: one.workload,
    [`${side}_workload_namespace`]: one.namespace,
    [`${side}_principal`]: principal ?? UNKNOWN,
    [`${side}_app`]: one.app,
    [`${side}_version`]: one.version,
    [`${side}_cluster`]: one.cluster,
    [`${side}_canonical_service`]: one.canonicalService,
    [`${side}_canonical_revision`]: one.canonicalRevision,
  };
}

/** What a proxy says of itself; undefined where it names no workload. */
export function workloadOfMetadata(metadata: Readonly<Record<string, unknown>>): Workload | undefined {
  const text = (key: string): string | undefined => {
    const value = metadata[key];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const workload = text("WORKLOAD_NAME");
  if (workload === undefined) return undefined;
  const raw = metadata["LABELS"];
  const labels = Object.fromEntries(
    Object.entries(isRecord(raw) ? raw : {}).flatMap(([key, value]) =>
      typeof value === "string" ? [[key, value]] : [],
    ),
  );
  return {
    workload,
    namespace: text("NAMESPACE") ?? UNKNOWN,
    app: labels["app"] ?? UNKNOWN,
    version: labels["version"] ?? UNKNOWN,
    cluster: text("CLUSTER_ID") ?? UNKNOWN,
    canonicalService: canonicalService(labels, workload),
    canonicalRevision: canonicalRevision(labels),
  };
}

/** What an endpoint's metadata says: workload, namespace, canonical service and revision, cluster. */
export function workloadOfEndpoint(text: string): Workload {
  if (text === "") return NOBODY;
  const [workload = "", namespace = "", service = "", revision = "", cluster = ""] = text.split(";");
  return {
    workload: workload || UNKNOWN,
    namespace: namespace || UNKNOWN,
    app: service || UNKNOWN,
    version: revision || UNKNOWN,
    cluster: cluster || UNKNOWN,
    canonicalService: service || UNKNOWN,
    canonicalRevision: revision || "latest",
  };
}

/** A certificate names the namespace; which workload of it calls is not in it. */
export function workloadOfPrincipal(principal: string | undefined): Workload {
  const namespace = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\//.exec(principal ?? "")?.[1];
  return namespace === undefined ? NOBODY : { ...NOBODY, namespace };
}
