// The configuration that a pod would get from manifests alone, as protobuf JSON. Pure.

import type { JsonValue } from "@bufbuild/protobuf";
import { buildWorld } from "../analyze/world.ts";
import type { KubeObject } from "../api/object.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type InjectOptions, PROXY_CONTAINER } from "../inject/options.ts";
import { recordAt, recordsAt, stringAt } from "../inject/shape.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import { Node } from "../proto/gen/envoy/config/core/v3/base.ts";
import { Encoder, type ResourceType } from "../serve/resource.ts";
import { resourceJson } from "../serve/resource-json.ts";
import { readNode } from "../translate/proxy.ts";
import { Translator } from "../translate/translate.ts";
import { type DerivedPod, type DerivedWorld, deriveWorld } from "./derive.ts";

export interface PreviewOptions {
  readonly mesh: MeshConfig;
  readonly inject: InjectOptions;
  readonly engine: "weft" | "envoy";
}

/** What the command prints. Each list is in the order of the translation, each entry a message of Envoy's v3 API. */
export interface PreviewedConfiguration {
  readonly listeners: readonly JsonValue[];
  readonly routes: readonly JsonValue[];
  readonly clusters: readonly JsonValue[];
  readonly endpoints: readonly JsonValue[];
  readonly secrets: readonly JsonValue[];
}

export interface Preview {
  readonly configuration: PreviewedConfiguration;
  readonly pod: DerivedPod;
  readonly world: DerivedWorld;
}

/** `name` is a pod's, or that of a workload, whose first pod is then meant. */
export function preview(
  objects: readonly KubeObject[],
  wanted: { readonly namespace: string; readonly name: string },
  options: PreviewOptions,
): Result<Preview, string> {
  const world = deriveWorld(objects, options.inject);
  const inside = world.pods.filter(({ pod }) => (pod.metadata.namespace ?? "default") === wanted.namespace);
  const pod =
    inside.find(({ pod }) => pod.metadata.name === wanted.name) ??
    inside.find(({ owner }) => owner.name === wanted.name);
  if (pod === undefined) return err(missing(wanted, world.pods));
  const node = readNode(nodeOf(pod, options));
  if (!node.ok) return node;
  // The pod's own token shows who it is.
  const proxy = { ...node.value, verified: true };
  const { snapshot } = buildWorld(world.objects, options.mesh);
  const encoding = { sequence: 0, virtualHosts: "inline" } as const;
  const { resources } = new Encoder().encode(new Translator(snapshot).parts(proxy), encoding);
  const json = (type: ResourceType): Result<readonly JsonValue[], string> =>
    all([...resources[type].values()].map(resourceJson));
  const listeners = json("listener");
  const routes = json("route");
  const clusters = json("cluster");
  const endpoints = json("endpoint");
  const secrets = json("secret");
  if (!listeners.ok) return listeners;
  if (!routes.ok) return routes;
  if (!clusters.ok) return clusters;
  if (!endpoints.ok) return endpoints;
  if (!secrets.ok) return secrets;
  return ok({
    configuration: {
      listeners: listeners.value,
      routes: routes.value,
      clusters: clusters.value,
      endpoints: endpoints.value,
      secrets: secrets.value,
    },
    pod,
    world,
  });
}

function all<T>(results: readonly Result<T, string>[]): Result<readonly T[], string> {
  const values: T[] = [];
  for (const result of results) {
    if (!result.ok) return result;
    values.push(result.value);
  }
  return ok(values);
}

/** What its proxy would say of itself: the arguments and the environment that injection wrote. */
function nodeOf({ pod }: DerivedPod, { engine, inject }: PreviewOptions): Node {
  const { name, namespace = "default", labels = {} } = pod.metadata;
  const proxy = pod.spec.containers.find((container) => container.name === PROXY_CONTAINER);
  const env = (key: string): string | undefined =>
    stringAt(
      recordsAt(proxy, "env").find((entry) => entry["name"] === key),
      "value",
    );
  const type = proxy?.args?.includes("router") === true ? "router" : "sidecar";
  const address = stringAt(recordAt(pod, "status"), "podIP") ?? "";
  const proxyConfig = env("PROXY_CONFIG");
  return Node.fromPartial({
    id: `${type}~${address}~${name}.${namespace}~${namespace}.svc.cluster.local`,
    metadata: {
      NAMESPACE: namespace,
      LABELS: { ...labels },
      SERVICE_ACCOUNT: pod.spec.serviceAccountName ?? "default",
      INTERCEPTION_MODE: env("ISTIO_META_INTERCEPTION_MODE") ?? inject.interceptionMode,
      ...(proxyConfig === undefined ? {} : { PROXY_CONFIG: proxyConfig }),
    },
    userAgentName: engine,
  });
}

function missing({ namespace, name }: { namespace: string; name: string }, pods: readonly DerivedPod[]): string {
  const known = pods.map(({ pod }) => `${pod.metadata.namespace}/${pod.metadata.name}`);
  const listed = known.length === 0 ? "they have no pod at all" : `they have ${known.slice(0, 10).join(", ")}`;
  return `the manifests have no pod or workload ${namespace}/${name}: ${listed}${known.length > 10 ? ", …" : ""}`;
}
