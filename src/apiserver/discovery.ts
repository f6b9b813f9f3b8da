// What kubectl asks before anything else: which groups, versions and kinds there are.

import { apiVersionOf, type Kind } from "../api/kind.ts";
import type { Registry } from "../api/registry.ts";
import { METRICS_GROUP, METRICS_VERSION } from "./metrics-api.ts";
import { REVIEWS } from "./reviews.ts";

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const SUBRESOURCE_VERBS = {
  status: ["get", "patch", "update"],
  scale: ["get", "patch", "update"],
  log: ["get"],
  exec: ["create", "get"],
  attach: ["create", "get"],
  portforward: ["create", "get"],
};

const SUBRESOURCE_KINDS: Readonly<Record<string, string>> = {
  exec: "PodExecOptions",
  attach: "PodAttachOptions",
  portforward: "PodPortForwardOptions",
};
const AGGREGATED = /application\/json;\s*g=apidiscovery\.k8s\.io;\s*v=(v2|v2beta1);\s*as=APIGroupDiscoveryList/;

export interface DiscoveryAnswer {
  readonly body: object;
  readonly contentType: string;
}

/** What `kubectl top` reads. */
const METRICS = [
  { kind: "NodeMetrics", plural: "nodes", namespaced: false },
  { kind: "PodMetrics", plural: "pods", namespaced: true },
];

interface Resource {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly {
    name: string;
    group: string;
    version: string;
    kind: string;
    verbs: readonly string[];
  }[];
}

/** `/api`, `/apis`, `/apis/G`, `/apis/G/V` or `/api/v1`; undefined for other paths. */
export function discover(registry: Registry, pathname: string, accept: string): DiscoveryAnswer | undefined {
  const resources = allResources(registry);
  const aggregated = AGGREGATED.exec(accept)?.[1];
  const segments = pathname.split("/").filter((segment) => segment !== "");
  const [root, second, third] = segments;
  if (root === "api" && segments.length === 1) {
    if (aggregated !== undefined)
      return aggregatedList(
        resources.filter((resource) => resource.group === ""),
        aggregated,
      );
    return json({ kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] });
  }
  if (root === "apis" && segments.length === 1) {
    const named = resources.filter((resource) => resource.group !== "");
    if (aggregated !== undefined) return aggregatedList(named, aggregated);
    return json({
      kind: "APIGroupList",
      apiVersion: "v1",
      groups: groupsOf(named).map((group) => groupObject(named, group)),
    });
  }
  if (root === "api" && segments.length === 2) return resourceList(resources, "", second ?? "");
  if (root !== "apis" || second === undefined) return undefined;
  if (segments.length === 2 && groupsOf(resources).includes(second)) {
    return json({ kind: "APIGroup", apiVersion: "v1", ...groupObject(resources, second) });
  }
  return segments.length === 3 ? resourceList(resources, second, third ?? "") : undefined;
}

function json(body: object): DiscoveryAnswer {
  return { body, contentType: "application/json" };
}

function allResources(registry: Registry): readonly Resource[] {
  const stored = registry.kinds.flatMap((kind) =>
    kind.versions.map((version) => ({
      group: kind.group,
      version,
      kind: kind.kind,
      plural: kind.plural,
      singular: kind.singular,
      namespaced: kind.namespaced,
      verbs: VERBS,
      shortNames: kind.shortNames,
      categories: kind.categories,
      subresources: subresourcesOf(kind, version),
    })),
  );
  const reviews = REVIEWS.map((review) => ({
    ...review,
    singular: review.kind.toLowerCase(),
    version: "v1",
    verbs: ["create"],
    shortNames: [],
    categories: [],
    subresources: [],
  }));
  const metrics = METRICS.map((metric) => ({
    ...metric,
    group: METRICS_GROUP,
    version: METRICS_VERSION,
    singular: "",
    verbs: ["get", "list"],
    shortNames: [],
    categories: [],
    subresources: [],
  }));
  return [...stored, ...reviews, ...metrics];
}

function subresourcesOf(kind: Kind, version: string): Resource["subresources"] {
  const own = kind.subresources.map((name) => ({
    name,
    ...(name === "scale"
      ? { group: "autoscaling", version: "v1", kind: "Scale" }
      : { group: kind.group, version, kind: SUBRESOURCE_KINDS[name] ?? kind.kind }),
    verbs: SUBRESOURCE_VERBS[name],
  }));
  if (kind.kind !== "ServiceAccount") return own;
  return [{ name: "token", group: "authentication.k8s.io", version: "v1", kind: "TokenRequest", verbs: ["create"] }];
}

function groupsOf(resources: readonly Resource[]): string[] {
  return [...new Set(resources.map((resource) => resource.group))];
}

function versionsOf(resources: readonly Resource[], group: string): string[] {
  return [...new Set(resources.filter((resource) => resource.group === group).map((resource) => resource.version))];
}

function groupObject(resources: readonly Resource[], group: string): object {
  const versions = versionsOf(resources, group).map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions, preferredVersion: versions[0] };
}

function resourceList(resources: readonly Resource[], group: string, version: string): DiscoveryAnswer | undefined {
  const chosen = resources.filter((resource) => resource.group === group && resource.version === version);
  if (chosen.length === 0) return undefined;
  const entries = chosen.flatMap((resource) => [
    {
      name: resource.plural,
      singularName: resource.singular,
      namespaced: resource.namespaced,
      kind: resource.kind,
      verbs: resource.verbs,
      ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
      ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
      storageVersionHash: "",
    },
    ...resource.subresources.map((sub) => ({
      name: `${resource.plural}/${sub.name}`,
      singularName: "",
      namespaced: resource.namespaced,
      group: sub.group,
      version: sub.version,
      kind: sub.kind,
      verbs: sub.verbs,
    })),
  ]);
  const groupVersion = apiVersionOf({ group, versions: [version] });
  return json({ kind: "APIResourceList", apiVersion: "v1", groupVersion, resources: entries });
}

function aggregatedList(resources: readonly Resource[], version: string): DiscoveryAnswer {
  const items = groupsOf(resources).map((group) => ({
    metadata: group === "" ? {} : { name: group },
    versions: versionsOf(resources, group).map((groupVersion) => ({
      version: groupVersion,
      freshness: "Current",
      resources: resources
        .filter((resource) => resource.group === group && resource.version === groupVersion)
        .map(aggregatedResource),
    })),
  }));
  return {
    body: { kind: "APIGroupDiscoveryList", apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items },
    contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
  };
}

function aggregatedResource(resource: Resource): object {
  return {
    resource: resource.plural,
    responseKind: { group: resource.group, version: resource.version, kind: resource.kind },
    scope: resource.namespaced ? "Namespaced" : "Cluster",
    singularResource: resource.singular,
    verbs: resource.verbs,
    ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
    ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
    subresources: resource.subresources.map((sub) => ({
      subresource: sub.name,
      responseKind: { group: sub.group, version: sub.version, kind: sub.kind },
      verbs: sub.verbs,
    })),
  };
}
