// NetworkPolicies to what each pod may receive and send. Pure; addresses come later, so that a pod's rules are there
// before anything of it runs.

import type { LabelSelector } from "../api/kubernetes/fields.ts";
import type { Namespace } from "../api/kubernetes/namespace.ts";
import type { NetworkPolicy } from "../api/kubernetes/network-policy.ts";
import type { Pod } from "../api/kubernetes/pod.ts";
import { matchesSelector } from "../api/kubernetes/selector-match.ts";

export interface PolicyWorld {
  readonly policies: readonly NetworkPolicy[];
  readonly pods: readonly Pod[];
  readonly namespaces: readonly Namespace[];
}

/** Without rules for a direction the pod is not isolated in it; with an empty list nothing passes. */
export interface PodFirewall {
  readonly ingress: readonly PeerRule[] | undefined;
  readonly egress: readonly PeerRule[] | undefined;
}

/** Who may be at the other end, and on which ports of the pod that is called. */
export interface PeerRule {
  /** Undefined: everybody. */
  readonly peers: readonly Peer[] | undefined;
  /** Undefined: all of them. */
  readonly ports: readonly PortRange[] | undefined;
}

/** `pod` is a key as `podKey` makes it. */
export type Peer =
  | { readonly kind: "pod"; readonly pod: string }
  | { readonly kind: "block"; readonly cidr: string; readonly except: readonly string[] }
  | { readonly kind: "dns" };

export interface PortRange {
  readonly protocol: "tcp" | "udp" | "sctp";
  /** Undefined: every port of the protocol. */
  readonly from: number | undefined;
  readonly to: number | undefined;
}

/** By `podKey`; a pod that no policy selects is not in it. */
export type PodFirewalls = ReadonlyMap<string, PodFirewall>;

/** The cluster's name server is no pod here: policies know it by the labels that it has elsewhere. */
const DNS_NAMESPACE = "kube-system";
const DNS_LABELS = { "k8s-app": "kube-dns" };

export function podKey(pod: { readonly namespace: string; readonly name: string }): string {
  return `${pod.namespace}/${pod.name}`;
}

export function podFirewalls(world: PolicyWorld): PodFirewalls {
  const firewalls = new Map<string, PodFirewall>();
  const pods = world.pods.filter(({ status }) => status?.phase !== "Succeeded" && status?.phase !== "Failed");
  const running = { ...world, pods };
  for (const policy of world.policies) {
    for (const pod of pods) {
      if (namespaceOf(pod) !== namespaceOf(policy)) continue;
      if (!matchesSelector(policy.spec?.podSelector ?? {}, pod.metadata.labels)) continue;
      const before = firewalls.get(keyOf(pod));
      firewalls.set(keyOf(pod), {
        ingress: joined(before?.ingress, ingressRules(policy, pod, running)),
        egress: joined(before?.egress, egressRules(policy, running)),
      });
    }
  }
  return firewalls;
}

/** What any of the policies allows is allowed. */
function joined(
  before: readonly PeerRule[] | undefined,
  more: readonly PeerRule[] | undefined,
): readonly PeerRule[] | undefined {
  return before === undefined || more === undefined ? (before ?? more) : [...before, ...more];
}

function ingressRules(policy: NetworkPolicy, pod: Pod, world: PolicyWorld): readonly PeerRule[] | undefined {
  if (policy.spec?.policyTypes?.includes("Ingress") === false) return undefined;
  return (policy.spec?.ingress ?? []).map(({ from = [], ports = [] }) => ({
    peers: peersOf(from, namespaceOf(policy), world),
    ports: ports.length === 0 ? undefined : ports.flatMap((port) => rangesOf(port, pod)),
  }));
}

/** A port by its name is another number in each pod that is called, so that such a rule becomes one for each. */
function egressRules(policy: NetworkPolicy, world: PolicyWorld): readonly PeerRule[] | undefined {
  if (policy.spec?.policyTypes?.includes("Egress") !== true) return undefined;
  const byKey = new Map(world.pods.map((pod) => [keyOf(pod), pod]));
  return (policy.spec.egress ?? []).flatMap(({ to = [], ports = [] }): readonly PeerRule[] => {
    const peers = peersOf(to, namespaceOf(policy), world);
    if (ports.length === 0) return [{ peers, ports: undefined }];
    const named = ports.filter(({ port }) => typeof port === "string");
    const numbered = ports.filter(({ port }) => typeof port !== "string").flatMap((port) => rangesOf(port, undefined));
    const called = peers?.flatMap((peer) => (peer.kind === "pod" ? [peer.pod] : [])) ?? [...byKey.keys()];
    return [
      ...(numbered.length === 0 ? [] : [{ peers, ports: numbered }]),
      ...(named.length === 0 ? [] : called).flatMap((key) => {
        const ranges = named.flatMap((port) => rangesOf(port, byKey.get(key)));
        return ranges.length === 0 ? [] : [{ peers: [{ kind: "pod" as const, pod: key }], ports: ranges }];
      }),
    ];
  });
}

type PolicyPeer = NonNullable<NonNullable<NonNullable<NetworkPolicy["spec"]>["ingress"]>[number]["from"]>[number];
type PolicyPort = NonNullable<NonNullable<NonNullable<NetworkPolicy["spec"]>["ingress"]>[number]["ports"]>[number];

function peersOf(peers: readonly PolicyPeer[], namespace: string, world: PolicyWorld): readonly Peer[] | undefined {
  return peers.length === 0 ? undefined : peers.flatMap((peer) => matching(peer, namespace, world));
}

function matching(peer: PolicyPeer, own: string, world: PolicyWorld): readonly Peer[] {
  if (peer.ipBlock !== undefined) {
    const { cidr = "", except = [] } = peer.ipBlock;
    return [{ kind: "block", cidr, except }];
  }
  const inside = namespacesOf(peer.namespaceSelector, own, world);
  const selector = peer.podSelector ?? {};
  const pods = world.pods.filter(
    (pod) => inside.has(namespaceOf(pod)) && matchesSelector(selector, pod.metadata.labels),
  );
  const dns = inside.has(DNS_NAMESPACE) && matchesSelector(selector, DNS_LABELS);
  return [
    ...pods.map((pod) => ({ kind: "pod" as const, pod: keyOf(pod) })),
    ...(dns ? [{ kind: "dns" as const }] : []),
  ];
}

function namespacesOf(selector: LabelSelector | undefined, own: string, world: PolicyWorld): ReadonlySet<string> {
  if (selector === undefined) return new Set([own]);
  const chosen = world.namespaces.filter(({ metadata }) => matchesSelector(selector, metadata.labels));
  return new Set(chosen.map(({ metadata }) => metadata.name));
}

/** None where the pod has no port of that name. */
function rangesOf({ protocol = "TCP", port, endPort }: PolicyPort, pod: Pod | undefined): readonly PortRange[] {
  const kind = protocol === "UDP" ? "udp" : protocol === "SCTP" ? "sctp" : "tcp";
  if (port === undefined) return [{ protocol: kind, from: undefined, to: undefined }];
  if (typeof port === "number") return [{ protocol: kind, from: port, to: endPort ?? port }];
  const ports = (pod?.spec.containers ?? []).flatMap((container) => container.ports ?? []);
  return ports
    .filter((one) => one.name === port && (one.protocol ?? "TCP") === protocol)
    .map(({ containerPort }) => ({ protocol: kind, from: containerPort, to: containerPort }));
}

function keyOf(pod: Pod): string {
  return podKey({ namespace: namespaceOf(pod), name: pod.metadata.name });
}

function namespaceOf({ metadata }: Pod | NetworkPolicy): string {
  return metadata.namespace ?? "default";
}
