// What NetworkPolicies allow, as nftables text: a chain a pod and direction that returns for what may pass and refuses the rest.

import type { Peer, PeerRule, PodFirewall, PodFirewalls, PortRange } from "../network-policy.ts";
import type { ChainMap, ChainTable } from "./chain-table.ts";

export interface FirewallTables {
  readonly ingress: ChainTable;
  readonly egress: ChainTable;
}

export const NO_FIREWALLS: FirewallTables = { ingress: new Map(), egress: new Map() };
export const INGRESS_CHAINS: ChainMap = { map: "ingress", verdict: "jump", prefix: "ingress" };
export const EGRESS_CHAINS: ChainMap = { map: "egress", verdict: "jump", prefix: "egress" };

/** Where pods are: more than one address while one ends and the next of its name begins. */
export interface PolicyAddresses {
  readonly pods: ReadonlyMap<string, readonly string[]>;
  readonly dnsIP: string;
}

/** A caller hears of it at once, instead of waiting for nobody. */
const REFUSE = "reject with icmp type admin-prohibited";

export function firewallTables(firewalls: PodFirewalls, addresses: PolicyAddresses): FirewallTables {
  const tables = { ingress: new Map<string, string>(), egress: new Map<string, string>() };
  for (const [key, firewall] of firewalls) {
    for (const ip of addresses.pods.get(key) ?? []) {
      for (const direction of ["ingress", "egress"] as const) {
        const rules = chainRules(firewall, { direction, ip, addresses });
        if (rules !== undefined) tables[direction].set(ip, rules);
      }
    }
  }
  return tables;
}

interface Side {
  readonly direction: "ingress" | "egress";
  readonly ip: string;
  readonly addresses: PolicyAddresses;
}

function chainRules(firewall: PodFirewall, side: Side): string | undefined {
  const rules = firewall[side.direction];
  if (rules === undefined) return undefined;
  const other = side.direction === "ingress" ? "ip saddr" : "ip daddr";
  // A pod may always call itself.
  return [`${other} ${side.ip} return`, ...rules.flatMap((rule) => ruleLines(rule, other, side)), REFUSE].join("\n");
}

function ruleLines({ peers, ports }: PeerRule, other: string, { addresses }: Side): readonly string[] {
  const matches = peers === undefined ? [""] : peerMatches(peers, other, addresses);
  return matches.flatMap((peer) => portMatches(ports).map((port) => `${peer}${port}return`));
}

function peerMatches(peers: readonly Peer[], other: string, { pods, dnsIP }: PolicyAddresses): readonly string[] {
  const single = new Set<string>();
  const blocks: string[] = [];
  for (const peer of peers) {
    if (peer.kind === "dns") single.add(dnsIP);
    else if (peer.kind === "pod") for (const ip of pods.get(peer.pod) ?? []) single.add(ip);
    else if (IPV4_BLOCK.test(peer.cidr)) {
      const except = peer.except.filter((cidr) => IPV4_BLOCK.test(cidr));
      blocks.push(`${other} ${peer.cidr} ${except.length === 0 ? "" : `${other} != { ${except.join(", ")} } `}`);
    }
  }
  return single.size === 0 ? blocks : [`${other} { ${[...single].join(", ")} } `, ...blocks];
}

const IPV4_BLOCK = /^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/;

/** Empty: every port. One match for each protocol, or nftables would need a set of pairs with ranges. */
function portMatches(ports: readonly PortRange[] | undefined): readonly string[] {
  if (ports === undefined) return [""];
  const matches: string[] = [];
  for (const protocol of ["tcp", "udp", "sctp"] as const) {
    const own = ports.filter((port) => port.protocol === protocol);
    if (own.some(({ from }) => from === undefined)) matches.push(`meta l4proto ${protocol} `);
    else if (own.length > 0) {
      const numbers = new Set(own.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)));
      for (const number of numbers) matches.push(`${protocol} dport ${number} `);
    }
  }
  return matches;
}
