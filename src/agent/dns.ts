// The sidecar's DNS: mesh hosts by the control plane's table, everything else by the servers of the pod's resolv.conf.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { err, ok, type Result } from "../base/result.ts";
import { DnsServer } from "../dns/server.ts";
import { DnsUpstream, parseNameservers } from "../dns/upstream.ts";
import type { NameTable } from "../proto/gen/istio/nds.ts";
import { type LookupOptions, makeLookup } from "./dns-names.ts";
import { readText } from "./read-text.ts";

const RESOLV_CONF = "/etc/resolv.conf";
const UPSTREAM_PORT = 53;

export interface SidecarDnsOptions extends LookupOptions {
  readonly host: string;
  readonly port: number;
  /** Instead of those of resolv.conf. */
  readonly upstream?: { readonly servers: readonly string[]; readonly port: number };
}

export interface SidecarDns {
  readonly port: number;
  setTable(table: NameTable): void;
  close(): void;
}

export async function startSidecarDns(options: SidecarDnsOptions): Promise<Result<SidecarDns, string>> {
  const { host, port } = options;
  const { servers, port: upstreamPort } = options.upstream ?? systemServers();
  const socket = createSocket("udp4");
  socket.bind(0);
  await once(socket, "listening");
  const upstream = new DnsUpstream(socket, servers, upstreamPort);
  try {
    const server = await DnsServer.listen({ address: host, port, upstream });
    return ok({
      port: server.port,
      setTable: (table) => server.setNames(makeLookup(table, options)),
      close: () => server.close(),
    });
  } catch (error) {
    upstream.close();
    const cause = error instanceof Error ? error.message : String(error);
    return err(`DNS can't listen on ${host}:${port}: ${cause}`);
  }
}

function systemServers(): { readonly servers: readonly string[]; readonly port: number } {
  const text = readText(RESOLV_CONF);
  return { servers: text.ok ? parseNameservers(text.value) : [], port: UPSTREAM_PORT };
}
