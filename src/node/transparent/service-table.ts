// Services as nftables text, and the node's own table.

import type { ServiceRoute } from "../sandbox.ts";
import type { ChainMap, ChainTable } from "./chain-table.ts";
import { ENDPOINTS_MAX } from "./limits.ts";

export const SERVICE_CHAINS: ChainMap = { map: "services", verdict: "goto", prefix: "service" };

export interface NodeAddresses {
  readonly nodeIP: string;
  readonly dnsIP: string;
  readonly serviceCidr: string;
}

/**
 * The node's own table. Service addresses are local to the node: what no service's chain took is refused at once,
 * by name resolution's port excepted, instead of running into a timeout. What pods send to each other is forwarded, and
 * meets the policies of both; what the node itself sends, probes among it, meets none, and neither does what is sent to it.
 */
export function nodeRules({ nodeIP, dnsIP, serviceCidr }: NodeAddresses): string {
  return `table ip weft
delete table ip weft
table ip weft {
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map ingress { type ipv4_addr : verdict; }
  map egress { type ipv4_addr : verdict; }
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
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state established,related accept
    ip saddr vmap @egress
    ip daddr vmap @ingress
  }
  chain input {
    type filter hook input priority 0; policy accept;
    ip daddr != ${serviceCidr} accept
    ip daddr ${dnsIP} ip saddr vmap @egress
    ip daddr ${dnsIP} udp dport 53 accept
    ip daddr ${dnsIP} tcp dport 53 accept
    meta l4proto tcp reject with tcp reset
    meta l4proto udp reject
  }
}
`;
}

/** A port without endpoints is absent, and so refused. */
export function serviceTable(routes: readonly ServiceRoute[]): ChainTable {
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

const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;

function chainRule(protocol: "tcp" | "udp", endpoints: readonly { ip: string; port: number }[]): string {
  const targets = endpoints.map(({ ip, port }, index) => `${index} : ${ip} . ${port}`);
  return `meta l4proto ${protocol} dnat ip to numgen random mod ${endpoints.length} map { ${targets.join(", ")} }`;
}
