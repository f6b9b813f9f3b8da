// `weft proxy-config route`: the virtual hosts of a proxy and the matches in each.

import { compare } from "./clusters.ts";
import { type Entry, type Json, originOf, recordAt, recordsAt, textAt, textsAt } from "./dump.ts";
import { pathText } from "./listeners.ts";

export function filterRoutes(entries: readonly Entry[], name: string | undefined): readonly Entry[] {
  return entries.filter((entry) => name === undefined || entry.name === name);
}

export const ROUTE_HEADER = ["NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"];

export function routeRows(entries: readonly Entry[]): readonly (readonly string[])[] {
  return [...entries]
    .sort((a, b) => Number(a.name) - Number(b.name) || compare(a.name, b.name))
    .flatMap(({ name, body }) =>
      recordsAt(body, "virtualHosts").flatMap((host) =>
        recordsAt(host, "routes").map((route) => [
          name,
          textAt(host, "name"),
          domainsText(textsAt(host, "domains")),
          matchText(recordAt(route, "match")),
          routeText(route),
        ]),
      ),
    );
}

/** The shortest ones say it best. */
function domainsText(domains: readonly string[]): string {
  const [first = "", second, ...more] = [...domains]
    .filter((domain) => !/:\d+$/.test(domain) || domains.length === 1)
    .sort((a, b) => a.length - b.length || compare(a, b));
  if (second === undefined) return first;
  return more.length === 0 ? `${first}, ${second}` : `${first}, ${second} + ${more.length} more...`;
}

function matchText(match: Json): string {
  const headers = recordsAt(match, "headers").map((header) => textAt(header, "name"));
  const query = recordsAt(match, "queryParameters").map((parameter) => `?${textAt(parameter, "name")}`);
  const more = [...headers, ...query];
  return `${pathText(match)}${more.length === 0 ? "" : ` (${more.join(", ")})`}`;
}

/** Like istioctl, where nothing is routed: what happens instead. */
function routeText(route: Json): string {
  const origin = originOf(route, "VirtualService");
  if (origin !== "") return origin;
  if (textAt(route, "directResponse", "status") !== "") return textAt(route, "directResponse", "status");
  return textAt(route, "route", "cluster") === "BlackHoleCluster" ? "404" : "";
}
