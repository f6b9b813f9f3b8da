// A pod's network, as scripts: two namespaces behind each other where a proxy takes the traffic, else one.
//
//   node  weftN ── up0  outer: the proxy  in0 ── eth0  inner: the application, the pod's address
//
// Nothing depends on uids or marks, which a user namespace with one uid can't offer and exec doesn't inherit: what
// comes from the application enters by in0, what comes from peers enters by up0, what the proxy (or a tool started
// beside it) sends is neither.

import { INNER_GATEWAY_IP, INNER_LOOPBACK_IP, type PodAddresses } from "./addresses.ts";
import { quote } from "./script.ts";

export interface PodNetwork {
  readonly addresses: PodAddresses;
  readonly nodeIP: string;
  /** The pod's own directory on the provider's tmpfs: the namespaces are kept as files in it. */
  readonly directory: string;
  readonly intercepted: boolean;
  /** The name server whose place the proxy takes for the application. */
  readonly capturedDns: string | undefined;
}

// The proxy may connect to its application from 127.0.0.6, as Istio's inbound clusters do, or from any address.
/** A proxy whose outbound side calls its own pod binds this source address and is led to its own inbound side. */
const SELF_CALL_SOURCE_IP = "127.0.0.7";

/** Where the application runs. */
export function innerNamespace(network: PodNetwork): string {
  return `${network.directory}/inner`;
}

/** Where the proxy runs. */
export function outerNamespace(network: PodNetwork): string {
  return network.intercepted ? `${network.directory}/outer` : innerNamespace(network);
}

export function createScript(network: PodNetwork): string {
  return network.intercepted ? interceptedScript(network) : plainScript(network);
}

/** Removing one end of a veth removes both; a namespace ends with its file's mount and its last process. */
export function destroyScript(network: PodNetwork): string {
  const { addresses, directory } = network;
  return [
    `ip link del ${addresses.veth} 2>/dev/null`,
    `nft delete element ip weft hairpin '{ ${addresses.podIP} . ${addresses.podIP} }' 2>/dev/null`,
    `for file in outer inner; do umount -l ${quote(directory)}/$file 2>/dev/null; done`,
    `rm -rf ${quote(directory)}`,
  ].join("\n");
}

function interceptedScript(network: PodNetwork): string {
  const { addresses, nodeIP } = network;
  const outer = quote(outerNamespace(network));
  const inner = quote(innerNamespace(network));
  const { podIP, veth, nodeLinkIP, podLinkIP } = addresses;
  return `
set -e
mkdir -p ${quote(network.directory)}
: > ${outer}
: > ${inner}
unshare --net=${outer} sh -c ${quote(OUTER_SETTINGS)}
unshare --net=${inner} sh -c ${quote(INNER_SETTINGS)}
ip -batch - <<END
link add ${veth} type veth peer name up0 netns ${outer}
addr add ${nodeLinkIP}/30 dev ${veth}
link set ${veth} up
route add ${podIP}/32 via ${podLinkIP} dev ${veth} src ${nodeIP} onlink
END
${hairpinElement(podIP)}
nsenter --net=${outer} sh -e <<'OUTER'
ip -batch - <<END
link set lo up
addr add ${podLinkIP}/30 dev up0
link set up0 up
route add default via ${nodeLinkIP} dev up0
link add in0 type veth peer name eth0 netns ${inner}
addr add ${INNER_GATEWAY_IP}/32 dev in0
link set in0 up
route add ${podIP}/32 dev in0 src ${INNER_GATEWAY_IP}
route add ${INNER_LOOPBACK_IP}/32 via ${podIP} dev in0 src ${INNER_GATEWAY_IP} onlink
END
echo 1 > /proc/sys/net/ipv4/conf/in0/route_localnet
nft -f - <<END
${outerRules(podIP, network.capturedDns)}
END
OUTER
nsenter --net=${inner} sh -e <<'INNER'
ip -batch - <<END
${endpointLink(podIP, INNER_GATEWAY_IP)}
END
echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet
nft -f - <<END
${innerRules(podIP)}
END
INNER
`;
}

function plainScript(network: PodNetwork): string {
  const { addresses, nodeIP } = network;
  const inner = quote(innerNamespace(network));
  const { podIP, veth, nodeLinkIP } = addresses;
  return `
set -e
mkdir -p ${quote(network.directory)}
: > ${inner}
unshare --net=${inner} sh -c ${quote(INNER_SETTINGS)}
ip -batch - <<END
link add ${veth} type veth peer name eth0 netns ${inner}
addr add ${nodeLinkIP}/30 dev ${veth}
link set ${veth} up
route add ${podIP}/32 dev ${veth} src ${nodeIP}
END
${hairpinElement(podIP)}
nsenter --net=${inner} ip -batch - <<END
${endpointLink(podIP, nodeLinkIP)}
END
`;
}

/** The application's end: the pod's address as /32, everything else through the gateway. */
function endpointLink(podIP: string, gatewayIP: string): string {
  return `link set lo up
addr add ${podIP}/32 dev eth0
link set eth0 up
route add ${gatewayIP}/32 dev eth0 src ${podIP}
route add default via ${gatewayIP} dev eth0 src ${podIP}`;
}

// A pod without a proxy may reach itself through its own service: the node must stand between, or the answer
// would never pass the node's address translation.
function hairpinElement(podIP: string): string {
  return `nft add element ip weft hairpin '{ ${podIP} . ${podIP} }'`;
}

// New namespaces take the machine's defaults: a strict reverse-path filter would drop what the rules turn around,
// and nothing here speaks IPv6, so no router is asked for it.
const INNER_SETTINGS = `cd /proc/sys/net
for kind in all default; do
  echo 0 > ipv4/conf/$kind/rp_filter
  echo 0 > ipv4/conf/$kind/accept_redirects
  echo 0 > ipv4/conf/$kind/send_redirects
done
echo 1 > ipv6/conf/default/disable_ipv6 2>/dev/null || :
echo 0 > ipv4/ip_unprivileged_port_start 2>/dev/null || :
echo "0 2147483647" > ipv4/ping_group_range 2>/dev/null || :`;
const OUTER_SETTINGS = `${INNER_SETTINGS}\necho 1 > ipv4/ip_forward`;

function outerRules(podIP: string, capturedDns: string | undefined): string {
  const dns = capturedDns === undefined ? "" : dnsRules(capturedDns);
  return `table ip weft {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "up0" ip daddr ${podIP} tcp dport { 15020, 15021, 15090 } redirect
    iifname "up0" ip daddr ${podIP} meta l4proto tcp redirect to :15006
    iifname "in0" ip daddr ${INNER_GATEWAY_IP} meta l4proto tcp dnat to 127.0.0.1
${dns}    iifname "in0" meta l4proto tcp redirect to :15001
  }
  chain output {
    type nat hook output priority -100; policy accept;
    ip saddr ${SELF_CALL_SOURCE_IP} ip daddr ${podIP} meta l4proto tcp redirect to :15006
    ip daddr 127.0.0.1 tcp dport != 15000-15090 dnat to ${INNER_LOOPBACK_IP}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "up0" snat to ${podIP}
    oifname "in0" ip saddr 127.0.0.0/8 snat to ${INNER_GATEWAY_IP}
  }
}`;
}

function dnsRules(nameserver: string): string {
  const rule = (protocol: string) =>
    `    iifname "in0" ip daddr ${nameserver} ${protocol} dport 53 dnat to 127.0.0.1:15053\n`;
  return rule("udp") + rule("tcp");
}

// The application finds its proxy's admin interface on localhost, and the proxy the application's, as in a pod of one
// namespace.
function innerRules(podIP: string): string {
  return `table ip weft {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "eth0" ip daddr ${INNER_LOOPBACK_IP} dnat to 127.0.0.1
  }
  chain output {
    type nat hook output priority -100; policy accept;
    ip daddr 127.0.0.1 tcp dport 15000-15090 dnat to ${INNER_GATEWAY_IP}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "eth0" ip saddr 127.0.0.0/8 snat to ${podIP}
  }
}`;
}
