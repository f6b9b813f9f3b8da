// What analysis looks at: the mesh snapshot of a list of objects, and the workloads that would run or do run.

import type { Kind } from "../api/kind.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import type { PodSpec } from "../api/kubernetes/pod-spec.ts";
import { TEMPLATE_PATHS, templateOf } from "../api/kubernetes/templates.ts";
import type { KubeObject } from "../api/object.ts";
import { validateStructure } from "../api/validate.ts";
import { isRecord } from "../base/json.ts";
import { resourceNameOf, SOURCES } from "../ingest/kinds.ts";
import type { ResourceName, ServiceResource } from "../ingest/resources.ts";
import { ResourceStore } from "../ingest/store.ts";
import { matchesLabels } from "../model/endpoint.ts";
import type { ResourceRef } from "../model/finding.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import { buildSnapshot, type MeshSnapshot } from "../model/snapshot.ts";
import { valueAt } from "./fields.ts";

export interface Workload {
  readonly resource: ResourceRef;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly replicas: number;
  readonly serviceAccount: string;
  /** Undefined where nothing here says whether its namespace is injected. */
  readonly hasSidecar: boolean | undefined;
  readonly spec: PodSpec;
  /** Where `spec` stands in the resource. */
  readonly specPath: string;
  /** It runs already: what it has is known, not decided. */
  readonly isRunning: boolean;
}

export interface World {
  readonly snapshot: MeshSnapshot;
  /** Deployments and what else makes pods, and pods that none of them stands for. */
  readonly workloads: readonly Workload[];
  /** Every pod by itself. */
  readonly pods: readonly Workload[];
  readonly objects: readonly KubeObject[];
}

export function buildWorld(objects: readonly KubeObject[], mesh: MeshConfig): World {
  const store = new ResourceStore();
  for (const object of objects) {
    const name = resourceNameOf(object);
    if (name !== undefined) put(store, name, object);
  }
  const snapshot = buildSnapshot(store.take(), mesh);
  return { snapshot, ...workloadsOf(objects, snapshot), objects };
}

function podOfTemplate(object: KubeObject): Pod | undefined {
  const template = object.kind === "Pod" ? undefined : templateOf(object);
  if (template === undefined) return undefined;
  const { name, namespace = "default" } = object.metadata;
  const metadata = {
    ...(isRecord(template["metadata"]) ? template["metadata"] : {}),
    name: `${name}-template`,
    namespace,
  };
  const spec = isRecord(template["spec"]) ? template["spec"] : { containers: [] };
  const pod = { apiVersion: "v1", kind: "Pod", metadata, spec };
  return typed(podKind, pod);
}

/** The workloads that a Service's selector takes; none without a selector. */
export function workloadsOfService(world: World, service: ServiceResource): readonly Workload[] {
  return world.workloads.filter((workload) => selects(service, workload));
}

export function servicesOfWorkload(world: World, workload: Workload): readonly ServiceResource[] {
  return [...world.snapshot.resources.services.values()].filter((service) => selects(service, workload));
}

function selects(service: ServiceResource, { namespace, labels }: Workload): boolean {
  const selector = service.spec?.selector;
  if (selector === undefined || Object.keys(selector).length === 0) return false;
  return namespace === service.metadata.namespace && matchesLabels(selector, labels);
}

/** What a policy's selector takes: of its own namespace, or of all when it is the root's. */
export function selectedWorkloads(
  world: World,
  namespace: string,
  labels: Readonly<Record<string, string>> | undefined,
): readonly Workload[] {
  const { rootNamespace } = world.snapshot.mesh;
  return world.workloads.filter(
    (each) => (namespace === rootNamespace || each.namespace === namespace) && matchesLabels(labels, each.labels),
  );
}

function put<K extends ResourceName>(store: ResourceStore, name: K, object: KubeObject): void {
  store.put(name, typed(SOURCES[name].kind, object));
}

/** Those of a kind that the mesh itself is not made of. */
export function typedObjects<T extends KubeObject>({ objects }: World, kind: Kind<T>): readonly T[] {
  return objects
    .filter((object) => object.kind === kind.kind && object.apiVersion.startsWith(`${kind.group}/`))
    .map((object) => typed(kind, object));
}

function typed<T extends KubeObject>(kind: Kind<T>, object: KubeObject): T {
  const { object: parsed } = validateStructure(kind, object);
  return kind.applyDefaults?.(parsed) ?? parsed;
}

function workloadsOf(objects: readonly KubeObject[], snapshot: MeshSnapshot): Pick<World, "workloads" | "pods"> {
  const owners = objects.filter(({ kind, metadata }) => {
    const isOwned = metadata.ownerReferences?.some((each) => each.controller === true) === true;
    return kind !== "Pod" && TEMPLATE_PATHS[kind] !== undefined && !isOwned;
  });
  const pods = objects
    .filter(({ kind }) => kind === "Pod")
    .map((each) => typed(podKind, each))
    .filter(({ status }) => !isOver(status?.phase));
  const alone = pods.filter(({ metadata }) => !isControlled(metadata.ownerReferences, owners));
  const ofPods = new Map(pods.map((pod) => [pod, ofPod(pod, snapshot)]));
  return {
    workloads: [
      ...owners.flatMap((each) => ofTemplate(each, snapshot)),
      ...alone.flatMap((pod) => ofPods.get(pod) ?? []),
    ],
    pods: [...ofPods.values()],
  };
}

const BETWEEN: Readonly<Record<string, string>> = { Deployment: "ReplicaSet", CronJob: "Job" };

/** By one of the owners, or by what one of them makes: then the owner stands for it. */
function isControlled(references: KubeObject["metadata"]["ownerReferences"], owners: readonly KubeObject[]): boolean {
  const owner = references?.find((each) => each.controller === true);
  if (owner === undefined) return false;
  return owners.some(({ kind, metadata }) =>
    owner.kind === kind
      ? owner.name === metadata.name
      : owner.kind === BETWEEN[kind] && owner.name.startsWith(`${metadata.name}-`),
  );
}

function isOver(phase: string | undefined): boolean {
  return phase === "Succeeded" || phase === "Failed";
}

function ofTemplate(object: KubeObject, snapshot: MeshSnapshot): readonly Workload[] {
  const pod = podOfTemplate(object);
  if (pod === undefined) return [];
  const { kind, metadata } = object;
  const replicas = valueAt(object, "spec.replicas");
  return [
    {
      ...ofPod(pod, snapshot),
      resource: { kind, namespace: metadata.namespace ?? "default", name: metadata.name },
      replicas: typeof replicas === "number" ? replicas : 1,
      specPath: [...(TEMPLATE_PATHS[kind] ?? []), "spec"].join("."),
    },
  ];
}

function ofPod(pod: Pod, snapshot: MeshSnapshot): Workload {
  const { metadata, spec } = pod;
  const namespace = metadata.namespace ?? "default";
  const labels = metadata.labels ?? {};
  const annotations = metadata.annotations ?? {};
  const isRunning = metadata.uid !== undefined;
  return {
    resource: { kind: "Pod", namespace, name: metadata.name },
    namespace,
    labels,
    annotations,
    replicas: 1,
    serviceAccount: spec.serviceAccountName ?? "default",
    hasSidecar: isRunning
      ? annotations["sidecar.istio.io/status"] !== undefined || labels["security.istio.io/tlsMode"] === "istio"
      : willHaveSidecar({ namespace, labels, annotations, spec }, snapshot),
    spec,
    specPath: "spec",
    isRunning,
  };
}

const INJECT_KEY = "sidecar.istio.io/inject";

/** As injection decides: a no wins over a yes; without any, there is no sidecar. */
function willHaveSidecar(
  pod: Pick<Workload, "namespace" | "labels" | "annotations" | "spec">,
  snapshot: MeshSnapshot,
): boolean | undefined {
  if (pod.spec.hostNetwork === true || pod.namespace.startsWith("kube-")) return false;
  const namespace = snapshot.resources.namespaces.get(`/${pod.namespace}`)?.metadata.labels;
  if (namespace?.["istio-injection"] === "disabled") return false;
  const wish = pod.labels[INJECT_KEY] ?? pod.annotations[INJECT_KEY];
  if (wish === "true" || wish === "false") return wish === "true";
  if (!snapshot.resources.namespaces.has(`/${pod.namespace}`)) return undefined;
  return isInjected(namespace);
}

export function isInjected(labels: Readonly<Record<string, string>> | undefined): boolean {
  if (labels?.["istio-injection"] !== undefined) return labels["istio-injection"] === "enabled";
  const revision = labels?.["istio.io/rev"];
  return revision === "default" || revision === "weft";
}
