// What a cluster would make of manifests: pods of their workloads, with sidecars and addresses, and the endpoints of
// their Services. What the manifests have of these already stays as it is. Pure.

import type { Issue } from "../api/issue.ts";
import { MESH_CONFIG_NAME } from "../api/istio/mesh-config.ts";
import { proxyConfigKind } from "../api/istio/proxy-config.ts";
import { type EndpointSlice, SERVICE_NAME_LABEL } from "../api/kubernetes/endpoint-slice.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import { type Service, serviceKind } from "../api/kubernetes/service.ts";
import { TEMPLATE_PATHS, templateOf } from "../api/kubernetes/templates.ts";
import type { KubeObject } from "../api/object.ts";
import { validateStructure } from "../api/validate.ts";
import { contentsOf, hasAddress, selects } from "../controllers/slice-contents.ts";
import { decideInjection, decideOffline } from "../inject/decide.ts";
import type { InjectOptions } from "../inject/options.ts";
import { injectPod, isInjected, ownerUrl } from "../inject/pod.ts";
import { meshProxySettings, type ProxyConfigWorld, proxySettings } from "../inject/proxy-config.ts";
import { numberAt, recordAt, recordsAt, stringAt, stringsAt } from "../inject/shape.ts";
import { Addresses } from "./addresses.ts";
import { REPLICAS_MAX } from "./limits.ts";

export interface DerivedPod {
  readonly pod: Pod;
  /** `Deployment`, … that it was made from; `Pod` where it stands in the manifests itself. */
  readonly owner: { readonly kind: string; readonly name: string };
  readonly hasSidecar: boolean;
}

export interface DerivedWorld {
  /** Everything that the mesh reads, pods and endpoints included. */
  readonly objects: readonly KubeObject[];
  readonly pods: readonly DerivedPod[];
  readonly issues: readonly (Issue & { readonly resource: string })[];
}

type Json = Readonly<Record<string, unknown>>;

/** `objects` have their namespace. Where a namespace is not among them, its pods count as injected. */
export function deriveWorld(objects: readonly KubeObject[], options: InjectOptions): DerivedWorld {
  const drafts = objects.flatMap((object) => draftsOf(object, objects));
  const pods = new Addresses(
    "10.244",
    drafts.flatMap(({ json }) => stringAt(recordAt(json, "status"), "podIP") ?? []),
  );
  const issues: (Issue & { readonly resource: string })[] = [];
  const namespaces = new Map(
    objects.filter(({ kind }) => kind === "Namespace").map(({ metadata }) => [metadata.name, metadata.labels ?? {}]),
  );
  const world = proxyConfigWorld(objects);
  const derived = inOrder(drafts).map((draft): DerivedPod => {
    const labels = stringsAt(recordAt(draft.json, "metadata"), "labels");
    const settings = proxySettings(world, { namespace: draft.namespace, labels });
    const injected = inject(draft, namespaces, { ...options, proxySettings: settings });
    issues.push(...injected.issues.map((issue) => ({ ...issue, resource: `${draft.owner.kind}/${draft.owner.name}` })));
    const pod = running(injected.json, () => pods.give(`${draft.namespace}/${draft.name}`));
    return { pod, owner: draft.owner, hasSidecar: isInjected({ ...pod }) };
  });
  const services = withAddresses(objects);
  const own = objects.filter(({ kind }) => kind !== "Pod" && kind !== "Service");
  const slices = slicesOf(services, derived, own);
  return { objects: [...own, ...services, ...derived.map(({ pod }) => pod), ...slices], pods: derived, issues };
}

const ROOT_NAMESPACE = "istio-system";

function proxyConfigWorld(objects: readonly KubeObject[]): ProxyConfigWorld {
  const mesh = objects.find(
    ({ kind, metadata }) =>
      kind === "ConfigMap" && metadata.name === MESH_CONFIG_NAME && metadata.namespace === ROOT_NAMESPACE,
  );
  return {
    mesh: meshProxySettings(mesh === undefined ? undefined : stringAt(recordAt(mesh, "data"), "mesh")),
    rootNamespace: ROOT_NAMESPACE,
    proxyConfigs: objects
      .filter(({ kind }) => kind === proxyConfigKind.kind)
      .map((object) => validateStructure(proxyConfigKind, object).object),
  };
}

interface Draft {
  readonly namespace: string;
  readonly name: string;
  readonly owner: DerivedPod["owner"];
  readonly json: Json;
}

/** The pods that an object stands for. A controller whose pods are among the objects stands for none. */
function draftsOf(object: KubeObject, all: readonly KubeObject[]): readonly Draft[] {
  const { kind, metadata } = object;
  const template = TEMPLATE_PATHS[kind] === undefined ? undefined : templateOf(object);
  if (template === undefined) return [];
  const namespace = metadata.namespace ?? "default";
  const owner = { kind, name: metadata.name };
  if (kind === "Pod") {
    const phase = stringAt(recordAt(object, "status"), "phase");
    const isOver = phase === "Succeeded" || phase === "Failed";
    return isOver ? [] : [{ namespace, name: metadata.name, owner, json: { ...object } }];
  }
  if (metadata.ownerReferences?.some((each) => each.controller === true) === true) return [];
  if (all.some((each) => each.kind === "Pod" && isOf(each, object))) return [];
  return Array.from({ length: replicasOf(object) }, (_none, i): Draft => {
    const name = `${metadata.name}-${i}`;
    const spec = kind === "StatefulSet" ? named(template, name, object) : recordAt(template, "spec");
    const inner = { ...recordAt(template, "metadata"), name, namespace };
    return { namespace, name, owner, json: { apiVersion: "v1", kind: "Pod", metadata: inner, spec } };
  });
}

function replicasOf(object: KubeObject): number {
  if (!["Deployment", "ReplicaSet", "StatefulSet", "ReplicationController", "DeploymentConfig"].includes(object.kind)) {
    return 1;
  }
  return Math.min(numberAt(recordAt(object, "spec"), "replicas") ?? 1, REPLICAS_MAX);
}

/** A StatefulSet's pods have names of their own in its headless Service. */
function named(template: Json, name: string, object: KubeObject): Json {
  const subdomain = stringAt(recordAt(object, "spec"), "serviceName");
  return { ...recordAt(template, "spec"), hostname: name, ...(subdomain === undefined ? {} : { subdomain }) };
}

/** By owner, also through a ReplicaSet or Job between. */
function isOf(pod: KubeObject, { kind, metadata }: KubeObject): boolean {
  if (pod.metadata.namespace !== metadata.namespace) return false;
  const owner = pod.metadata.ownerReferences?.find((each) => each.controller === true);
  if (owner === undefined) return false;
  if (owner.kind === kind) return owner.name === metadata.name;
  const between = { Deployment: "ReplicaSet", CronJob: "Job" }[kind];
  return owner.kind === between && owner.name.startsWith(`${metadata.name}-`);
}

function inOrder(drafts: readonly Draft[]): readonly Draft[] {
  const key = ({ namespace, name }: Draft): string => `${namespace}/${name}`;
  return [...drafts].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

interface Injection {
  readonly json: Json;
  readonly issues: readonly Issue[];
}

/** As admission does; what runs already was admitted. */
function inject(
  { namespace, json, owner }: Draft,
  namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>,
  options: InjectOptions,
): Injection {
  const isAdmitted = stringAt(recordAt(json, "metadata"), "uid") !== undefined || isInjected(json);
  const labels = namespaces.get(namespace);
  const decision =
    labels === undefined ? decideOffline(json, namespace) : decideInjection(json, { name: namespace, labels });
  if (isAdmitted || !decision.inject) return { json, issues: [] };
  const apiVersion = owner.kind === "Pod" ? "v1" : "apps/v1";
  const workload = { name: owner.name, owner: ownerUrl({ apiVersion, kind: owner.kind, namespace, name: owner.name }) };
  const injected = injectPod(json, workload, options);
  return { json: injected.pod, issues: injected.issues };
}

/** With an address, and ready unless its status says otherwise. */
function running(json: Json, address: () => string): Pod {
  const given = recordAt(json, "status");
  const podIP = stringAt(given, "podIP") ?? address();
  const isKnown = recordsAt(given, "conditions").some(({ type }) => type === "Ready");
  const conditions = isKnown ? recordsAt(given, "conditions") : [{ type: "Ready", status: "True" }];
  const status = { ...given, phase: stringAt(given, "phase") ?? "Running", podIP, conditions };
  const metadata = { ...recordAt(json, "metadata"), labels: stringsAt(recordAt(json, "metadata"), "labels") };
  const { object } = validateStructure(podKind, { ...json, metadata, status });
  return podKind.applyDefaults?.(object) ?? object;
}

function withAddresses(objects: readonly KubeObject[]): readonly Service[] {
  const services = objects
    .filter(({ kind }) => kind === "Service")
    .map((each): Service => {
      const { object } = validateStructure(serviceKind, each);
      return serviceKind.applyDefaults?.(object) ?? object;
    })
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const addresses = new Addresses(
    "10.96",
    services.flatMap(({ spec }) => spec.clusterIP ?? []),
  );
  return services.map((service) => {
    const { spec } = service;
    if (spec.type === "ExternalName" || (spec.clusterIP ?? "") !== "") return service;
    const clusterIP = addresses.give(keyOf(service));
    return { ...service, spec: { ...spec, clusterIP, clusterIPs: [clusterIP] } };
  });
}

/** Of Services with a selector for which the manifests have no EndpointSlice. */
function slicesOf(
  services: readonly Service[],
  pods: readonly DerivedPod[],
  objects: readonly KubeObject[],
): readonly EndpointSlice[] {
  const present = new Set(
    objects
      .filter(({ kind }) => kind === "EndpointSlice")
      .map(({ metadata }) => `${metadata.namespace}/${metadata.labels?.[SERVICE_NAME_LABEL]}`),
  );
  return services.flatMap((service) => {
    if (present.has(keyOf(service)) || service.spec.type === "ExternalName") return [];
    const members = pods
      .map(({ pod }) => pod)
      .filter((pod) => pod.metadata.namespace === service.metadata.namespace && hasAddress(pod))
      .filter((pod) => selects(service, pod.metadata.labels));
    if (members.length === 0) return [];
    const { name, namespace } = service.metadata;
    return contentsOf(service, members).map(({ ports, endpoints }, i): EndpointSlice => {
      const labels = { [SERVICE_NAME_LABEL]: name };
      return {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { name: `${name}-${i}`, ...(namespace === undefined ? {} : { namespace }), labels },
        addressType: "IPv4",
        endpoints,
        ports,
      };
    });
  });
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
