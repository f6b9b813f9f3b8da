// `weft proxy-config listener`: where a proxy listens, and where each of its filter chains leads.

import { compare } from "./clusters.ts";
import { type Entry, type Json, recordAt, recordsAt, textAt, textsAt } from "./dump.ts";

export interface ListenerFilter {
  readonly address?: string | undefined;
  readonly port?: string | undefined;
}

export function filterListeners(entries: readonly Entry[], filter: ListenerFilter): readonly Entry[] {
  return entries.filter(({ body }) => {
    const { address, port } = placeOf(body);
    return (
      (filter.address === undefined || filter.address === address) &&
      (filter.port === undefined || filter.port === port)
    );
  });
}

function placeOf(body: Json): { readonly address: string; readonly port: string } {
  const socket = recordAt(body, "address", "socketAddress");
  const pipe = textAt(body, "address", "pipe", "path");
  return { address: pipe === "" ? textAt(socket, "address") : `unix://${pipe}`, port: textAt(socket, "portValue") };
}

export const LISTENER_HEADER = ["ADDRESSES", "PORT", "MATCH", "DESTINATION"];

/** One row for each filter chain; those of a listener stay in their order. */
export function listenerRows(entries: readonly Entry[]): readonly (readonly string[])[] {
  return [...entries]
    .map(({ body }) => ({ ...placeOf(body), body }))
    .sort((a, b) => Number(a.port) - Number(b.port) || compare(a.address, b.address))
    .flatMap(({ address, port, body }) => {
      const last = recordAt(body, "defaultFilterChain");
      const chains = [...recordsAt(body, "filterChains"), ...(Object.keys(last).length === 0 ? [] : [last])];
      return chains.map((chain) => [
        address,
        port,
        matchText(recordAt(chain, "filterChainMatch")),
        destinationText(chain),
      ]);
    });
}

function matchText(match: Json): string {
  const parts: string[] = [];
  const port = textAt(match, "destinationPort");
  const prefixes = recordsAt(match, "prefixRanges").map(rangeText);
  if (textsAt(match, "serverNames").length > 0) parts.push(`SNI: ${textsAt(match, "serverNames").join(",")}`);
  const transport = textAt(match, "transportProtocol");
  if (transport !== "") parts.push(`Trans: ${transport}`);
  const protocols = textsAt(match, "applicationProtocols");
  if (protocols.length > 0) parts.push(`App: ${protocols.join(",")}`);
  if (prefixes.length > 0 || port !== "") {
    parts.push(`Addr: ${prefixes.length === 0 ? "*" : prefixes.join(",")}${port === "" ? "" : `:${port}`}`);
  }
  const sources = recordsAt(match, "sourcePrefixRanges").map(rangeText);
  if (sources.length > 0) parts.push(`Source: ${sources.join(",")}`);
  return parts.length === 0 ? "ALL" : parts.join("; ");
}

function rangeText(range: Json): string {
  const length = textAt(range, "prefixLen");
  return `${textAt(range, "addressPrefix")}${length === "" || length === "32" ? "" : `/${length}`}`;
}

function destinationText(chain: Json): string {
  for (const filter of recordsAt(chain, "filters")) {
    const config = recordAt(filter, "typedConfig");
    const type = textAt(config, "@type");
    if (type.endsWith(".HttpConnectionManager")) return httpText(config);
    if (type.endsWith(".TcpProxy")) return tcpText(config);
  }
  return "Non-HTTP/Non-TCP";
}

function httpText(manager: Json): string {
  const route = textAt(manager, "rds", "routeConfigName");
  if (route !== "") return `Route: ${route}`;
  const routes = recordsAt(manager, "routeConfig", "virtualHosts").flatMap((host) => recordsAt(host, "routes"));
  const targets = routes.map((each) => `${pathText(recordAt(each, "match"))}`);
  return targets.length === 0 ? "Inline Route" : `Inline Route: ${[...new Set(targets)].join(", ")}`;
}

export function pathText(match: Json): string {
  const { prefix, path, pathSeparatedPrefix } = match;
  if (typeof prefix === "string") return `${prefix}*`;
  if (typeof path === "string") return path;
  if (typeof pathSeparatedPrefix === "string") return `PathPrefix:${pathSeparatedPrefix}`;
  const regex = textAt(match, "safeRegex", "regex");
  const template = textAt(match, "pathMatchPolicy", "typedConfig", "pathTemplate");
  return regex !== "" ? `regex ${regex}` : template !== "" ? `template ${template}` : "/*";
}

function tcpText(proxy: Json): string {
  const cluster = textAt(proxy, "cluster");
  if (cluster !== "") return cluster.includes("|") ? `Cluster: ${cluster}` : cluster;
  const weighted = recordsAt(proxy, "weightedClusters", "clusters");
  return `Cluster: ${weighted.map((each) => `${textAt(each, "name")} (${textAt(each, "weight")})`).join(", ")}`;
}
