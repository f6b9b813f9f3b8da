// metrics.k8s.io, for `kubectl top`: what the node measures, in the shape of Kubernetes' metrics server.

import { eraseKind } from "../api/kind.ts";
import { podKind } from "../api/kubernetes/pod.ts";
import type { KubeObject } from "../api/object.ts";
import type { Clock } from "../base/clock.ts";
import { type ApiRequest, type Reply, replyFailed, replyJson } from "./http.ts";
import { timestamp } from "./lifecycle.ts";
import type { NodeUsage, PodRuntime, PodUsage } from "./pod-runtime.ts";
import type { Resources } from "./resources.ts";
import type { PathParts } from "./route.ts";
import { failure } from "./status.ts";

export const METRICS_GROUP = "metrics.k8s.io";
export const METRICS_VERSION = "v1beta1";

interface Context {
  readonly runtime: PodRuntime;
  readonly resources: Resources;
  readonly clock: Clock;
}

/** Undefined when the path is another group's. */
export async function handleMetrics(
  context: Context,
  request: ApiRequest,
  parts: PathParts,
): Promise<Reply | undefined> {
  if (parts.group !== METRICS_GROUP || parts.version !== METRICS_VERSION) return undefined;
  if (request.method !== "GET") return replyFailed(failure(405, "MethodNotAllowed", "metrics are only read"));
  if (parts.plural !== "pods" && parts.plural !== "nodes") return undefined;
  const measured = await context.runtime.usage();
  if (!measured.ok) return replyFailed(measured.error);
  const now = timestamp(context.clock.wallMs());
  return parts.plural === "pods"
    ? pods(context, request, { parts, usage: measured.value, now })
    : nodes(parts, measured.value, now);
}

interface Asked {
  readonly parts: PathParts;
  readonly usage: NodeUsage;
  readonly now: string;
}

async function pods(context: Context, request: ApiRequest, { parts, usage, now }: Asked): Promise<Reply> {
  const selection = {
    namespace: parts.namespace,
    labelSelector: request.query.get("labelSelector") ?? undefined,
    fieldSelector: request.query.get("fieldSelector") ?? undefined,
  };
  const listed = await context.resources.list(eraseKind(podKind), selection);
  if (!listed.ok) return replyFailed(listed.error);
  const byUid = new Map(usage.pods.map((pod) => [pod.uid, pod]));
  const items = listed.value.objects.flatMap((pod) => {
    const found = byUid.get(pod.metadata.uid ?? "");
    const isAsked = parts.name === undefined || parts.name === pod.metadata.name;
    return found === undefined || found.containers.length === 0 || !isAsked
      ? []
      : [podMetrics(pod, found, { usage, now })];
  });
  if (parts.name === undefined) return replyJson(200, list("PodMetricsList", items));
  const [only] = items;
  return only === undefined
    ? replyFailed(failure(404, "NotFound", `podmetrics.metrics.k8s.io "${parts.namespace}/${parts.name}" not found`))
    : replyJson(200, only);
}

function podMetrics(pod: KubeObject, used: PodUsage, { usage, now }: Pick<Asked, "usage" | "now">): object {
  const { name, namespace, labels, creationTimestamp } = pod.metadata;
  return {
    kind: "PodMetrics",
    apiVersion: `${METRICS_GROUP}/${METRICS_VERSION}`,
    metadata: { name, namespace, creationTimestamp, ...(labels === undefined ? {} : { labels }) },
    timestamp: now,
    window: windowText(usage),
    containers: used.containers.map(({ container, cpuNanos, memoryBytes }) => ({
      name: container,
      usage: { cpu: `${cpuNanos}n`, memory: `${Math.ceil(memoryBytes / 1024)}Ki` },
    })),
  };
}

function nodes(parts: PathParts, usage: NodeUsage, now: string): Reply {
  const containers = usage.pods.flatMap((pod) => pod.containers);
  const sum = (amount: (container: (typeof containers)[number]) => number): number =>
    containers.reduce((total, container) => total + amount(container), 0);
  const item = {
    kind: "NodeMetrics",
    apiVersion: `${METRICS_GROUP}/${METRICS_VERSION}`,
    metadata: { name: usage.node },
    timestamp: now,
    window: windowText(usage),
    usage: {
      cpu: `${sum(({ cpuNanos }) => cpuNanos)}n`,
      memory: `${Math.ceil(sum(({ memoryBytes }) => memoryBytes) / 1024)}Ki`,
    },
  };
  if (parts.name === undefined) return replyJson(200, list("NodeMetricsList", [item]));
  return parts.name === usage.node
    ? replyJson(200, item)
    : replyFailed(failure(404, "NotFound", `nodemetrics.metrics.k8s.io "${parts.name}" not found`));
}

function list(kind: string, items: readonly object[]): object {
  return { kind, apiVersion: `${METRICS_GROUP}/${METRICS_VERSION}`, metadata: {}, items };
}

function windowText(usage: NodeUsage): string {
  return `${(usage.windowMs / 1000).toFixed(3)}s`;
}
