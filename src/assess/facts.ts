// What a set of Kubernetes objects says of an application: how large it is, who calls whom, and what it has already of
// what a mesh would give. Objects are read as they come, of kinds that weft doesn't serve too.

import type { KubeObject } from "../api/object.ts";
import { canonicalService } from "../api/workload-name.ts";
import { isRecord } from "../base/json.ts";
import { type AppService, type AppWorkload, type Named, runsBehind } from "./app.ts";
import { type Call, callsOf, depthOf } from "./calls.ts";
import { memoryMb, type Tree, textsAt, treeAt, treesAt } from "./tree.ts";

export interface Facts {
  readonly services: readonly AppService[];
  readonly workloads: readonly AppWorkload[];
  readonly namespaces: readonly string[];
  readonly pods: number;
  readonly calls: readonly Call[];
  /** Services that one request may go through, one after the other. */
  readonly depth: number;
  readonly requestedMb: number | undefined;
  readonly versions: readonly { readonly service: Named; readonly versions: readonly string[] }[];
  readonly objects: readonly KubeObject[];
}

/** What the cluster itself is made of is no part of the application. */
const SYSTEM = /^(kube-.*|istio-.*|cert-manager|monitoring|observability|argo.*|linkerd.*|local-path-storage)$/;
const TEMPLATES = new Set(["Deployment", "StatefulSet", "DaemonSet", "Rollout"]);

export function factsOf(objects: readonly KubeObject[]): Facts {
  const own = objects.filter(({ metadata }) => !SYSTEM.test(metadata.namespace ?? "default"));
  const workloads = workloadsOf(own);
  const services = own.filter(({ kind, apiVersion }) => kind === "Service" && apiVersion === "v1").map(serviceOf);
  const calls = callsOf(workloads, services, own);
  const requests = workloads.map(({ memoryMb: each, replicas }) => (each === undefined ? undefined : each * replicas));
  return {
    services,
    workloads,
    namespaces: [...new Set(workloads.map(({ namespace }) => namespace))].sort(),
    pods: workloads.reduce((sum, { replicas }) => sum + replicas, 0),
    calls,
    depth: depthOf(calls),
    requestedMb: requests.every((each) => each === undefined)
      ? undefined
      : requests.reduce<number>((sum, each) => sum + (each ?? 0), 0),
    versions: services.flatMap((service) => versionsOf(service, workloads)),
    objects,
  };
}

function versionsOf(service: AppService, workloads: readonly AppWorkload[]): Facts["versions"] {
  const versions = workloads.filter((each) => runsBehind(service, each)).map(({ version }) => version);
  const different = [...new Set(versions.filter((version) => version !== ""))].sort();
  return different.length < 2 ? [] : [{ service, versions: different }];
}

function serviceOf(object: KubeObject): AppService {
  const spec = treeAt(object, "spec");
  const { name, namespace = "default" } = object.metadata;
  return { name, namespace, selector: textsAt(spec, "selector"), ports: treesAt(spec, "ports") };
}

function workloadsOf(objects: readonly KubeObject[]): readonly AppWorkload[] {
  const owners = objects.filter(({ kind }) => TEMPLATES.has(kind));
  const alone = objects.filter(({ kind, metadata }) => kind === "Pod" && (metadata.ownerReferences ?? []).length === 0);
  return [
    ...owners.map((object) => workloadOf(object, treeAt(treeAt(object, "spec"), "template"))),
    ...alone.map((object) => workloadOf(object, isRecord(object) ? object : {})),
  ];
}

function workloadOf(object: KubeObject, pod: Tree): AppWorkload {
  const { name, namespace = "default" } = object.metadata;
  const metadata = treeAt(pod, "metadata");
  const labels = textsAt(metadata, "labels");
  const spec = treeAt(pod, "spec");
  const containers = treesAt(spec, "containers");
  const requested = containers.map((each) => memoryMb(treeAt(treeAt(each, "resources"), "requests")["memory"]));
  const replicas = treeAt(object, "spec")["replicas"];
  return {
    name,
    namespace,
    labels,
    annotations: textsAt(metadata, "annotations"),
    app: canonicalService(labels, name),
    version: labels["app.kubernetes.io/version"] ?? labels["version"] ?? "",
    replicas: typeof replicas === "number" ? replicas : 1,
    memoryMb: requested.every((each) => each === undefined)
      ? undefined
      : requested.reduce<number>((sum, each) => sum + (each ?? 0), 0),
    spec,
    variables: containers
      .flatMap((each) => treesAt(each, "env"))
      .map((each) => ({ name: String(each["name"] ?? ""), value: String(each["value"] ?? "") })),
  };
}
