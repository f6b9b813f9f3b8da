// The transparent mode: pods in network namespaces inside the node's own, services by address translation, names by
// the mesh's DNS. Runs inside the namespaces that the launcher made (src/cluster/launch).

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { assert } from "../../base/assert.ts";
import { DnsServer } from "../../dns/server.ts";
import { DnsUpstream, parseNameservers } from "../../dns/upstream.ts";
import { nameTable, resolveName } from "../cluster-names.ts";
import { type PodFirewalls, podKey } from "../network-policy.ts";
import type { Sandbox, SandboxProvider, SandboxRequest, ServiceRoute } from "../sandbox.ts";
import { AddressPool } from "./addresses.ts";
import { type CgroupTree, openCgroups } from "./cgroup.ts";
import { type ChainTable, tableDifference } from "./chain-table.ts";
import type { ContainerTools } from "./container.ts";
import { EGRESS_CHAINS, type FirewallTables, firewallTables, INGRESS_CHAINS, NO_FIREWALLS } from "./firewall-table.ts";
import { TransparentPod } from "./pod.ts";
import { createScript, destroyScript, type PodNetwork } from "./pod-network.ts";
import { findTool, quote, runScript, runTool } from "./script.ts";
import { nodeRules, SERVICE_CHAINS, serviceTable } from "./service-table.ts";

export interface TransparentOptions {
  /** Names the control groups, so that a later run on the same directory finds a crashed one's leftovers. */
  readonly dataDirectory: string;
  /** An own directory of the provider: it is covered by a tmpfs, so nothing else may live in it. */
  readonly runDirectory: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  /** Inside `podCidr`, its first address. */
  readonly nodeIP: string;
  /** Inside `serviceCidr`. */
  readonly dnsIP: string;
  /** A bound UDP socket opened outside the namespaces: names that are not the mesh's are asked through it. */
  readonly upstreamSocketFd: number | undefined;
  /** What went wrong with nobody to answer to. */
  readonly warn: (message: string) => void;
}

export const transparentDefaults = {
  podCidr: "10.244.0.0/16",
  serviceCidr: "10.96.0.0/16",
  nodeIP: "10.244.0.1",
  dnsIP: "10.96.0.10",
} as const;

export interface TransparentProvider extends SandboxProvider {
  readonly mode: "transparent";
  /** Whether limits hold here, for people. */
  readonly limitsNote: string;
}

/** Rejects, naming what failed, when the namespaces can't be used: after a probe that said yes, a broken machine. */
export async function startTransparentProvider(options: TransparentOptions): Promise<TransparentProvider> {
  const tools: ContainerTools = { nsenter: tool("nsenter"), unshare: tool("unshare"), setsid: tool("setsid") };
  mkdirSync(options.runDirectory, { recursive: true });
  await mustRun(nodeScript(options));
  const rules = await runTool(tool("nft"), ["-f", "-"], nodeRules(options));
  if (!rules.ok) throw new Error(`the node's address translation could not be set up: ${rules.error}`);
  const cgroups = await openCgroups(options.dataDirectory);
  const upstream = await openUpstream(options.upstreamSocketFd);
  const dns = await DnsServer.listen({ address: options.dnsIP, port: 53, upstream });
  return new Provider(options, { tools, cgroups, dns });
}

interface Tables {
  readonly services: ChainTable;
  readonly firewalls: FirewallTables;
}

const NO_TABLES: Tables = { services: new Map(), firewalls: NO_FIREWALLS };

function difference(applied: Tables, wanted: Tables): string {
  return [
    tableDifference(applied.services, wanted.services, SERVICE_CHAINS),
    tableDifference(applied.firewalls.ingress, wanted.firewalls.ingress, INGRESS_CHAINS),
    tableDifference(applied.firewalls.egress, wanted.firewalls.egress, EGRESS_CHAINS),
  ].join("");
}

interface Parts {
  readonly tools: ContainerTools;
  readonly cgroups: CgroupTree;
  readonly dns: DnsServer;
}

class Provider implements TransparentProvider {
  readonly mode = "transparent";
  readonly nodeIP: string;
  readonly limitsNote: string;
  readonly #options: TransparentOptions;
  readonly #parts: Parts;
  readonly #pool: AddressPool;
  readonly #pods = new Map<TransparentPod, string>();
  #firewalls: PodFirewalls = new Map();
  #wanted: Tables = NO_TABLES;
  #applied: Tables = NO_TABLES;
  #applying: Promise<void> | undefined;

  constructor(options: TransparentOptions, parts: Parts) {
    this.nodeIP = options.nodeIP;
    this.limitsNote = parts.cgroups.note;
    this.#options = options;
    this.#parts = parts;
    this.#pool = new AddressPool(options.podCidr);
  }

  async create(request: SandboxRequest): Promise<Sandbox> {
    const taken = this.#pool.take();
    if (!taken.ok) throw new Error(taken.error);
    const addresses = taken.value;
    const network: PodNetwork = {
      addresses,
      nodeIP: this.nodeIP,
      directory: `${this.#options.runDirectory}/${addresses.number}`,
      intercepted: request.intercepted,
      capturedDns: request.capturesDns ? this.#options.dnsIP : undefined,
    };
    const made = await runScript(createScript(network));
    if (!made.ok) {
      await runScript(destroyScript(network));
      this.#pool.giveBack(addresses);
      throw new Error(`the network of pod ${request.namespace}/${request.name} could not be made: ${made.error}`);
    }
    const pod = new TransparentPod(request, network, {
      tools: this.#parts.tools,
      cgroups: this.#parts.cgroups,
      scratch: this.#options.runDirectory,
      nameserver: this.#options.dnsIP,
      released: () => {
        this.#pods.delete(pod);
        void this.#guard();
        this.#pool.giveBack(addresses);
      },
    });
    this.#pods.set(pod, podKey(request));
    await this.#guard();
    return pod;
  }

  setFirewalls(firewalls: PodFirewalls): void {
    this.#firewalls = firewalls;
    void this.#guard();
  }

  setServices(routes: readonly ServiceRoute[]): void {
    const names = nameTable(routes);
    this.#parts.dns.setNames((name) => resolveName(names, name));
    this.#wanted = { ...this.#wanted, services: serviceTable(routes) };
    void this.#settle();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pods.keys()].map((pod) => pod.destroy()));
    await this.#applying;
    this.#parts.dns.close();
    await this.#parts.cgroups.remove();
    const { runDirectory, serviceCidr, nodeIP } = this.#options;
    await runScript(
      `nft delete table ip weft; ip route del local ${serviceCidr} dev lo; ip addr del ${nodeIP}/32 dev lo; umount -l ${quote(runDirectory)}`,
    );
  }

  /** The policies' rules for the pods that there are now. */
  #guard(): Promise<void> {
    const pods = new Map<string, string[]>();
    for (const [pod, key] of this.#pods) pods.set(key, [...(pods.get(key) ?? []), pod.podIP]);
    const { dnsIP } = this.#options;
    this.#wanted = { ...this.#wanted, firewalls: firewallTables(this.#firewalls, { pods, dnsIP }) };
    return this.#settle();
  }

  #settle(): Promise<void> {
    this.#applying ??= this.#apply().finally(() => {
      this.#applying = undefined;
    });
    return this.#applying;
  }

  /** One transaction at a time, each with everything that changed since the last. */
  async #apply(): Promise<void> {
    while (this.#applied !== this.#wanted) {
      const wanted = this.#wanted;
      const change = difference(this.#applied, wanted);
      if (change !== "") {
        const done = await runTool(tool("nft"), ["-f", "-"], change);
        // A refused transaction has changed nothing: the next change tries all of it again.
        if (!done.ok) return this.#options.warn(`the node's rules could not be updated: ${done.error}`);
      }
      this.#applied = wanted;
    }
  }
}

function tool(name: string): string {
  const path = findTool(name);
  assert(path !== undefined, `${name} is needed by the transparent mode and was there when it was probed`);
  return path;
}

async function mustRun(script: string): Promise<void> {
  const done = await runScript(script);
  if (!done.ok) throw new Error(`the node's network could not be set up: ${done.error}`);
}

// Service addresses are local to the node, so that what no rule takes is answered at once; connections that the node
// itself opens to them come from its own address. Every refusal is told, not one a second.
function nodeScript({ runDirectory, nodeIP, serviceCidr }: TransparentOptions): string {
  return `
set -e
mount -t tmpfs -o mode=755 tmpfs ${quote(runDirectory)}
ip link set lo up
ip addr add ${nodeIP}/32 dev lo
ip route add local ${serviceCidr} dev lo src ${nodeIP}
cd /proc/sys/net/ipv4
echo 1 > ip_forward
echo 0 > icmp_ratelimit
for kind in all default; do
  echo 0 > conf/$kind/rp_filter
  echo 0 > conf/$kind/send_redirects
done
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null || :
`;
}

async function openUpstream(fd: number | undefined): Promise<DnsUpstream | undefined> {
  if (fd === undefined) return undefined;
  const servers = existsSync("/etc/resolv.conf") ? parseNameservers(readFileSync("/etc/resolv.conf", "utf8")) : [];
  if (servers.length === 0) return undefined;
  const socket = createSocket("udp4");
  // An inherited descriptor is listening at once: the event must be awaited before it is bound.
  const listening = once(socket, "listening");
  socket.bind({ fd });
  await listening;
  return new DnsUpstream(socket, servers);
}
