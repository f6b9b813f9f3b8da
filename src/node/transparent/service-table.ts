// Services as nftables text: the difference between two tables, to be applied in one transaction.

import type { ServiceRoute } from "../sandbox.ts";
import { ENDPOINTS_MAX } from "./limits.ts";

/** `10.96.0.7 . tcp . 80` to the rule of its chain. A port without endpoints is absent, and so refused. */
export type ServiceTable = ReadonlyMap<string, string>;

export interface NodeAddresses {
  readonly nodeIP: string;
  readonly dnsIP: string;
  readonly serviceCidr: string;
}

/**
 * The node's own table. Service addresses are local to the node: what no service's chain took is refused at once,
 * by name resolution's port excepted, instead of running into a timeout.
 */
export function nodeRules({ nodeIP, dnsIP, serviceCidr }: NodeAddresses): string {
  return `table ip weft
delete table ip weft
table ip weft {
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  set hairpin { type ipv4_addr . ipv4_addr; }
  chain services {
    ip daddr . meta l4proto . th dport vmap @services
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr ${serviceCidr} jump services
  }
  chain output {
    type nat hook output priority -100; policy accept;
    ip daddr ${serviceCidr} jump services
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr . ip daddr @hairpin snat to ${nodeIP}
    oifname != "lo" ip saddr ${serviceCidr} snat to ${nodeIP}
  }
  chain input {
    type filter hook input priority 0; policy accept;
    ip daddr != ${serviceCidr} accept
    ip daddr ${dnsIP} udp dport 53 accept
    ip daddr ${dnsIP} tcp dport 53 accept
    meta l4proto tcp reject with tcp reset
    meta l4proto udp reject
  }
}
`;
}

export function serviceTable(routes: readonly ServiceRoute[]): ServiceTable {
  const table = new Map<string, string>();
  for (const route of routes) {
    if (!IPV4.test(route.clusterIP)) continue;
    for (const port of route.ports) {
      const protocol = port.protocol === "UDP" ? "udp" : "tcp";
      const endpoints = port.endpoints.filter(({ ip }) => IPV4.test(ip)).slice(0, ENDPOINTS_MAX);
      if (endpoints.length === 0) continue;
      table.set(`${route.clusterIP} . ${protocol} . ${port.port}`, chainRule(protocol, endpoints));
    }
  }
  return table;
}

/** What turns `applied` into `wanted`; empty when nothing differs. */
export function tableDifference(applied: ServiceTable, wanted: ServiceTable): string {
  const lines: string[] = [];
  for (const [key, rule] of wanted) {
    const before = applied.get(key);
    if (before === rule) continue;
    const chain = chainName(key);
    if (before === undefined) {
      lines.push(`add chain ip weft ${chain}`, `add rule ip weft ${chain} ${rule}`);
      lines.push(`add element ip weft services { ${key} : goto ${chain} }`);
    } else {
      lines.push(`flush chain ip weft ${chain}`, `add rule ip weft ${chain} ${rule}`);
    }
  }
  for (const key of applied.keys()) {
    if (wanted.has(key)) continue;
    lines.push(`delete element ip weft services { ${key} }`);
    lines.push(`flush chain ip weft ${chainName(key)}`, `delete chain ip weft ${chainName(key)}`);
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;

function chainRule(protocol: "tcp" | "udp", endpoints: readonly { ip: string; port: number }[]): string {
  const targets = endpoints.map(({ ip, port }, index) => `${index} : ${ip} . ${port}`);
  return `meta l4proto ${protocol} dnat ip to numgen random mod ${endpoints.length} map { ${targets.join(", ")} }`;
}

function chainName(key: string): string {
  return `service_${key.replaceAll(" . ", "_").replaceAll(".", "_")}`;
}
