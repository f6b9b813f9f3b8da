// What a pod that was made by a controller belongs to: its Deployment rather than the ReplicaSet between.

export interface WorkloadOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

export interface PodOrigin {
  /** The pod's own name. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of its owner references the controller's. */
  readonly controller: WorkloadOwner | undefined;
}

export function workloadOwner({ name, labels, controller }: PodOrigin): WorkloadOwner {
  if (controller === undefined) return { apiVersion: "v1", kind: "Pod", name };
  const hash = labels["pod-template-hash"];
  if (controller.kind === "ReplicaSet" && hash !== undefined && controller.name.endsWith(`-${hash}`)) {
    return { apiVersion: "apps/v1", kind: "Deployment", name: controller.name.slice(0, -hash.length - 1) };
  }
  return controller;
}

/** Istio's canonical service and revision: what a workload is a version of. */
export function canonicalService(labels: Readonly<Record<string, string>>, workload: string): string {
  return labels["service.istio.io/canonical-name"] ?? labels["app.kubernetes.io/name"] ?? labels["app"] ?? workload;
}

export function canonicalRevision(labels: Readonly<Record<string, string>>): string {
  return (
    labels["service.istio.io/canonical-revision"] ??
    labels["app.kubernetes.io/version"] ??
    labels["version"] ??
    "latest"
  );
}
