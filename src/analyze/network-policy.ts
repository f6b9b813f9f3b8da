// NetworkPolicies: whether one cuts proxies off from what they need, their control plane and the name server.

import { type NetworkPolicy, networkPolicyKind } from "../api/kubernetes/network-policy.ts";
import { matchesSelector } from "../api/kubernetes/selector-match.ts";
import { validateStructure } from "../api/validate.ts";
import { refOf } from "../model/finding.ts";
import { type Finding, finding } from "./finding.ts";
import type { Workload, World } from "./world.ts";

const CONTROL_PORT = 15012;
const DNS_PORT = 53;
const DNS_NAMESPACE = "kube-system";

/** The egress rules of all policies that select a workload count together. */
export function analyzeNetworkPolicies(world: World): readonly Finding[] {
  const policies = world.objects.filter(({ kind }) => kind === networkPolicyKind.kind).map(parsed);
  return policies.flatMap((policy) => {
    const cut = world.workloads.find((each) => each.hasSidecar === true && isolates(policy, each));
    if (cut === undefined) return [];
    const rules = policies.filter((each) => isolates(each, cut)).flatMap(({ spec }) => spec?.egress ?? []);
    const lost = [
      ...(reaches(rules, { port: CONTROL_PORT, protocol: "TCP", namespace: world.snapshot.mesh.rootNamespace, world })
        ? []
        : [`its control plane (port ${CONTROL_PORT} of namespace ${world.snapshot.mesh.rootNamespace})`]),
      ...(reaches(rules, { port: DNS_PORT, protocol: "UDP", namespace: DNS_NAMESPACE, world })
        ? []
        : [`the name server (port ${DNS_PORT} of namespace ${DNS_NAMESPACE})`]),
    ];
    if (lost.length === 0) return [];
    const { kind, name } = cut.resource;
    return [
      finding(
        "WEFT0402",
        { resource: refOf(policy), path: "spec.egress" },
        `the sidecar of ${kind} ${name} can't reach ${lost.join(" and ")}: it gets no certificate and no configuration, or finds no host. On weft's local cluster the control plane stays reachable`,
        "Allow egress to these ports, by namespaceSelector and ports.",
      ),
    ];
  });
}

function parsed(object: Parameters<typeof validateStructure>[1]): NetworkPolicy {
  const { object: policy } = validateStructure(networkPolicyKind, object);
  return networkPolicyKind.applyDefaults?.(policy) ?? policy;
}

function isolates({ metadata, spec }: NetworkPolicy, { namespace, labels }: Workload): boolean {
  const egress = spec?.policyTypes?.includes("Egress") === true;
  return egress && (metadata.namespace ?? "default") === namespace && matchesSelector(spec?.podSelector ?? {}, labels);
}

type EgressRule = NonNullable<NonNullable<NetworkPolicy["spec"]>["egress"]>[number];

interface Needed {
  readonly port: number;
  readonly protocol: string;
  readonly namespace: string;
  readonly world: World;
}

/** Leniently: a port by name, or a block of addresses, may well be the one that is needed. */
function reaches(rules: readonly EgressRule[], needed: Needed): boolean {
  return rules.some(({ to = [], ports = [] }) => {
    const byPort =
      ports.length === 0 ||
      ports.some(({ protocol = "TCP", port, endPort }) => {
        if (protocol !== needed.protocol) return false;
        if (typeof port !== "number") return true;
        return port <= needed.port && needed.port <= (endPort ?? port);
      });
    const byPeer = to.length === 0 || to.some((peer) => peer.ipBlock !== undefined || mayBe(peer, needed));
    return byPort && byPeer;
  });
}

function mayBe({ namespaceSelector }: NonNullable<EgressRule["to"]>[number], { namespace, world }: Needed): boolean {
  if (namespaceSelector === undefined) return false;
  // Every namespace has this label, those that are not among the objects too.
  const own = world.objects.find(({ kind, metadata }) => kind === "Namespace" && metadata.name === namespace);
  return matchesSelector(namespaceSelector, { "kubernetes.io/metadata.name": namespace, ...own?.metadata.labels });
}
