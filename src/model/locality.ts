// Where endpoints and clients are: `region/zone/subzone`, by the label of a pod or by its node. And which rule says what
// follows from it.

import type { LoadBalancerSettings, TrafficPolicy } from "../api/istio/destination-rule.ts";
import type { LocalityLbSetting } from "../api/istio/locality.ts";
import type { PodResource, ResourceSet } from "../ingest/resources.ts";
import type { MeshConfig } from "./mesh-config.ts";
import type { Service } from "./service.ts";

const REGION = "topology.kubernetes.io/region";
const ZONE = "topology.kubernetes.io/zone";
const SUBZONE = "topology.istio.io/subzone";
const NETWORK = "topology.istio.io/network";
const HOSTNAME = "kubernetes.io/hostname";
const OLDER: Readonly<Record<string, string>> = {
  [REGION]: "failure-domain.beta.kubernetes.io/region",
  [ZONE]: "failure-domain.beta.kubernetes.io/zone",
};
/** On a pod: goes before what its node says. */
const LOCALITY_LABELS = ["topology.istio.io/locality", "istio-locality"];

/** Names of nodes to their localities. */
export type NodeIndex = ReadonlyMap<string, string>;

export function indexNodes(nodes: ResourceSet["nodes"]): NodeIndex {
  const index = new Map<string, string>();
  for (const { metadata } of nodes.values()) {
    const labels = metadata.labels ?? {};
    const steps = [REGION, ZONE, SUBZONE].map((name) => labels[name] ?? labels[OLDER[name] ?? ""] ?? "");
    index.set(metadata.name, trimmed(steps));
  }
  return index;
}

/** What a workload's labels say, dots for slashes, which no label's value may have; empty where they say nothing. */
export function labelledLocality(labels: Readonly<Record<string, string>>): string {
  const text = LOCALITY_LABELS.map((name) => labels[name] ?? "").find((value) => value !== "") ?? "";
  return text.includes("/") ? text : text.replaceAll(".", "/");
}

export function localityOfPod(pod: PodResource | undefined, nodes: NodeIndex): string {
  const labelled = labelledLocality(pod?.metadata.labels ?? {});
  return labelled !== "" ? labelled : (nodes.get(pod?.spec?.nodeName ?? "") ?? "");
}

function trimmed(steps: readonly string[]): string {
  return steps.join("/").replace(/\/+$/, "");
}

/** What is compared where priorities go by labels. */
export interface Placed {
  readonly locality: string;
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A label of a workload, those of its place among them, which its node has rather than itself. */
export function topologyLabel(name: string, { locality, node, labels }: Placed): string {
  const steps = locality.split("/");
  switch (name) {
    case REGION:
      return steps[0] ?? "";
    case ZONE:
      return steps[1] ?? "";
    case SUBZONE:
      return steps[2] ?? "";
    case HOSTNAME:
      return node;
    default:
      return labels[name] ?? "";
  }
}

export type TrafficDistribution = "any" | "zone" | "node";

const DISTRIBUTIONS: Readonly<Record<string, TrafficDistribution>> = {
  preferclose: "zone",
  prefersamezone: "zone",
  prefersamenode: "node",
};

/** The Service's own field goes before the annotation. */
export function trafficDistribution(field: string | undefined, annotation: string | undefined): TrafficDistribution {
  return DISTRIBUTIONS[(field ?? annotation ?? "").toLowerCase()] ?? "any";
}

export interface LocalityRule {
  readonly distribute: NonNullable<LocalityLbSetting["distribute"]>;
  readonly failover: NonNullable<LocalityLbSetting["failover"]>;
  readonly failoverPriority: readonly string[];
}

const CLOSE = [NETWORK, REGION, ZONE, SUBZONE];

/**
 * The rule's own setting, else what the Service prefers, else the mesh's. Undefined where a client's place makes no
 * difference: without outlier detection nothing would ever be given up, so that everything counts alike.
 */
export function localityRule(
  policy: Pick<TrafficPolicy, "loadBalancer" | "outlierDetection">,
  service: Pick<Service, "trafficDistribution">,
  mesh: MeshConfig,
): LocalityRule | undefined {
  const own = policy.loadBalancer?.localityLbSetting;
  const preferred = own === undefined ? preferredBy(service.trafficDistribution) : undefined;
  if (preferred !== undefined) return preferred;
  const setting = own ?? mesh.settings.localityLbSetting ?? {};
  if (setting.enabled === false) return undefined;
  const { distribute = [], failover = [], failoverPriority = [] } = setting;
  if (distribute.length === 0 && policy.outlierDetection === undefined) return undefined;
  return { distribute, failover, failoverPriority };
}

function preferredBy(distribution: TrafficDistribution): LocalityRule | undefined {
  if (distribution === "any") return undefined;
  const failoverPriority = distribution === "node" ? [...CLOSE, HOSTNAME] : CLOSE;
  return { distribute: [], failover: [], failoverPriority };
}

/** Whether anything of the mesh may depend on where its clients are. */
export function dependsOnLocality(
  policies: readonly Pick<TrafficPolicy, "loadBalancer" | "outlierDetection">[],
  services: Iterable<Pick<Service, "trafficDistribution">>,
): boolean {
  if (policies.some((each) => each.outlierDetection !== undefined || hasDistribution(each.loadBalancer))) return true;
  for (const service of services) if (service.trafficDistribution !== "any") return true;
  return false;
}

function hasDistribution(settings: LoadBalancerSettings | undefined): boolean {
  return (settings?.localityLbSetting?.distribute ?? []).length > 0;
}
