// `weft proxy-config cluster`: a proxy's clusters, with istioctl's columns.

import { type Entry, originOf, textAt } from "./dump.ts";

export interface ClusterFilter {
  readonly fqdn?: string | undefined;
  readonly port?: string | undefined;
  readonly direction?: string | undefined;
  readonly subset?: string | undefined;
}

interface ClusterName {
  readonly direction: string;
  readonly port: string;
  readonly subset: string;
  readonly host: string;
}

/** `outbound|8080|v1|api.shop.svc.cluster.local`; any other name is a host by itself. */
function parseClusterName(name: string): ClusterName {
  const [direction, port, subset, host] = name.split("|");
  if (host !== undefined && direction !== undefined && port !== undefined && subset !== undefined) {
    return { direction, port, subset, host };
  }
  return { direction: "", port: "", subset: "", host: name };
}

export function filterClusters(entries: readonly Entry[], filter: ClusterFilter): readonly Entry[] {
  return entries.filter(({ name }) => {
    const { host, port, direction, subset } = parseClusterName(name);
    if (filter.fqdn !== undefined && !host.includes(filter.fqdn)) return false;
    if (filter.port !== undefined && filter.port !== port) return false;
    if (filter.direction !== undefined && filter.direction !== direction) return false;
    return filter.subset === undefined || filter.subset === subset;
  });
}

export const CLUSTER_HEADER = ["SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"];

export function clusterRows(entries: readonly Entry[]): readonly (readonly string[])[] {
  return [...entries]
    .map(({ name, body }) => ({ ...parseClusterName(name), body }))
    .sort((a, b) => compare(a.host, b.host) || Number(a.port) - Number(b.port) || compare(a.subset, b.subset))
    .map(({ host, port, subset, direction, body }) => [
      dash(host),
      dash(port),
      dash(subset),
      dash(direction),
      textAt(body, "type") ||
        (textAt(body, "clusterType", "name") === "" ? "STATIC" : textAt(body, "clusterType", "name")),
      originOf(body, "DestinationRule"),
    ]);
}

function dash(text: string): string {
  return text === "" ? "-" : text;
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
