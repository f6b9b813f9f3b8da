// DestinationRules: hosts, subsets, and what happens where several cover one host.

import type { DestinationRule } from "../api/istio/destination-rule.ts";
import type { HostRule } from "../model/destination.ts";
import { matchesLabels } from "../model/endpoint.ts";
import { formatRef, refOf } from "../model/finding.ts";
import { hostMatches, resolveHost } from "../model/hosts.ts";
import { leaves, list } from "./fields.ts";
import { type Finding, finding } from "./finding.ts";
import { sourcesOf } from "./origin.ts";
import { analyzeEjection } from "./outlier.ts";
import { type World, workloadsOfService } from "./world.ts";

export function analyzeDestinations(world: World): readonly Finding[] {
  const { resources, destinations } = world.snapshot;
  const rules = [...resources.destinationRules.values()];
  const merged = [...destinations.rules.values()].flatMap((hosts) => [...hosts.values()].flat());
  return [
    ...rules.flatMap((rule) => [...unknownHost(rule, world), ...emptySubsets(rule, world), ...unverified(rule)]),
    ...merged.flatMap((rule) => [...mergedRules(rule), ...notInherited(rule, world), ...analyzeEjection(rule, world)]),
  ];
}

function fullHost(rule: DestinationRule, world: World): string {
  return resolveHost(rule.spec.host, rule.metadata.namespace ?? "default", world.snapshot.mesh.clusterDomain);
}

function unknownHost(rule: DestinationRule, world: World): readonly Finding[] {
  const host = fullHost(rule, world);
  const { services, mesh } = world.snapshot;
  const isMesh = host.endsWith(`.svc.${mesh.clusterDomain}`);
  if (!isMesh || [...services.keys()].some((each) => hostMatches(host, each))) return [];
  const names = [...services.values()]
    .map(({ name, namespace }) => `${name}.${namespace}`)
    .slice(0, SERVICES_NAMED_MAX);
  return [
    finding(
      "IST0174",
      { resource: refOf(rule), path: "spec.host" },
      `The host ${rule.spec.host} defined in the DestinationRule does not match any services in the mesh.`,
      names.length === 0
        ? "No Service is known here: add their manifests with -f, or ask a cluster."
        : `Correct the host, or add the Service ${host}; known: ${names.join(", ")}.`,
    ),
  ];
}

const SERVICES_NAMED_MAX = 8;

function emptySubsets(rule: DestinationRule, world: World): readonly Finding[] {
  const service = world.snapshot.services.get(fullHost(rule, world));
  const resource = world.snapshot.resources.services.get(`${service?.namespace}/${service?.name}`);
  if (resource?.spec?.selector === undefined) return [];
  const workloads = workloadsOfService(world, resource);
  if (workloads.length === 0 && !world.workloads.some((each) => each.namespace === service?.namespace)) return [];
  return (rule.spec.subsets ?? []).flatMap((subset, i) => {
    if (workloads.some(({ labels }) => matchesLabels(subset.labels, labels))) return [];
    const wanted = Object.entries({ ...resource.spec?.selector, ...subset.labels }).map(
      ([key, value]) => `${key}=${value}`,
    );
    return [
      finding(
        "IST0173",
        { resource: refOf(rule), path: `spec.subsets[${i}].labels` },
        `The Subset ${subset.name} defined in the DestinationRule does not select any pods, which may lead to 503 UH (NoHealthyUpstream).`,
        `Start pods with the labels ${wanted.join(", ")}, correct the labels, or remove the subset.`,
      ),
    ];
  });
}

/** TLS whose server's certificate nobody looks at. */
function unverified(rule: DestinationRule): readonly Finding[] {
  const { name, namespace } = rule.metadata;
  const { tls, portLevelSettings = [] } = rule.spec.trafficPolicy ?? {};
  const told = (mode: string, where: string): string =>
    `DestinationRule ${name} in namespace ${namespace} has TLS mode set to ${mode} but no caCertificates are set to validate server identity for host: ${rule.spec.host}${where}`;
  const next = "Set caCertificates to the file of the authority that signed the server's certificate.";
  const general = isUnverified(tls)
    ? [finding("IST0128", { resource: refOf(rule), path: "spec.trafficPolicy.tls" }, told(tls?.mode ?? "", ""), next)]
    : [];
  const byPort = portLevelSettings.flatMap(({ tls: own, port }, i) => {
    if (!isUnverified(own)) return [];
    const path = `spec.trafficPolicy.portLevelSettings[${i}].tls`;
    const message = told(own?.mode ?? "", ` at port number:${port?.number}`);
    return [finding("IST0129", { resource: refOf(rule), path }, message, next)];
  });
  return [...general, ...byPort];
}

type ClientTls = NonNullable<DestinationRule["spec"]["trafficPolicy"]>["tls"];

function isUnverified(tls: ClientTls): boolean {
  if (tls?.mode !== "SIMPLE" && tls?.mode !== "MUTUAL") return false;
  return tls.caCertificates === undefined && tls.credentialName === undefined;
}

function mergedRules(rule: HostRule): readonly Finding[] {
  const [oldest, ...others] = rule.sources;
  if (oldest === undefined) return [];
  return others.map((resource) =>
    finding(
      "WEFT0102",
      { resource, path: "spec.host" },
      `merged field by field with ${formatRef(oldest)}, which has the same host ${rule.host}. Istio unites the subsets only: the older rule's trafficPolicy (or the first by name) would win whole, and this one's be dropped in silence`,
      `Put both into one DestinationRule, so that Istio does the same.`,
    ),
  );
}

/** A wildcard's settings don't reach a host that has a rule of its own. */
function notInherited(rule: HostRule, world: World): readonly Finding[] {
  if (!rule.host.startsWith("*")) return [];
  const hosts = world.snapshot.destinations.rules.get(rule.namespace);
  const lost = leaves(rule.trafficPolicy);
  if (hosts === undefined || lost.length === 0) return [];
  return [...hosts.keys()].flatMap((host) => {
    if (host.startsWith("*") || !hostMatches(rule.host, host)) return [];
    const own = hosts.get(host)?.find(({ clients }) => Object.keys(clients).length === 0);
    if (own === undefined) return [];
    const set = new Set(leaves(own.trafficPolicy));
    const missing = lost.filter((path) => !set.has(path));
    if (missing.length === 0) return [];
    const [first] = rule.sources;
    if (first === undefined) return [];
    const mutual = rule.trafficPolicy?.tls?.mode === "ISTIO_MUTUAL" && own.trafficPolicy?.tls === undefined;
    const owners = list(own.sources.map(formatRef));
    return [
      finding(
        "WEFT0103",
        { resource: first, path: "spec.host" },
        `nothing of it reaches ${host}, which follows ${owners} instead: a more specific rule replaces a wildcard's, it does not inherit. Not in effect there: ${list(missing)}${mutual ? " (calls between sidecars are mTLS all the same: it is automatic)" : ""}`,
        `Copy what ${host} shall have into ${formatRef(own.sources[0] ?? first)}.`,
      ),
    ];
  });
}

/** For a client in the rule's own namespace: the wildcard rules that a host does not inherit from. */
export function overshadowed(world: World, rule: HostRule): readonly HostRule[] {
  const hosts = world.snapshot.destinations.rules.get(rule.namespace);
  return [...(hosts?.values() ?? [])]
    .flat()
    .filter(
      (each) =>
        each !== rule &&
        each.host.startsWith("*") &&
        hostMatches(each.host, rule.host) &&
        sourcesOf(world, each).length > 0,
    );
}
