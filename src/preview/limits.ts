// The bounds of a preview.

/** Pods that one workload of the manifests stands for, whatever its replicas. */
export const REPLICAS_MAX = 100;
