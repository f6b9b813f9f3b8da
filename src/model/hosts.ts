// Host names: short ones to full ones, wildcards, who may see what.

/** A name without a dot is a service of the namespace; everything else is meant as it stands. */
export function resolveHost(host: string, namespace: string, clusterDomain: string): string {
  if (host.startsWith("*") || host.includes(".")) return host.toLowerCase();
  return `${host}.${namespace}.svc.${clusterDomain}`.toLowerCase();
}

/** `*.example.com` covers every name that ends in `.example.com`; `*` covers all. */
export function hostMatches(pattern: string, host: string): boolean {
  if (pattern === host) return true;
  return pattern.startsWith("*") && host.endsWith(pattern.slice(1)) && host.length >= pattern.length;
}

/** The entry whose host is exactly this one, else that of the longest wildcard which covers it. */
export function mostSpecific<T>(entries: ReadonlyMap<string, T>, host: string): T | undefined {
  return mostSpecificOf(entries, host, (entry) => entry);
}

/** The same, of the entries of which something is left once they were picked from. */
export function mostSpecificOf<T, R>(
  entries: ReadonlyMap<string, T>,
  host: string,
  pick: (entry: T) => R | undefined,
): R | undefined {
  const exact = entries.get(host);
  const picked = exact === undefined ? undefined : pick(exact);
  if (picked !== undefined) return picked;
  let best: R | undefined;
  let length = 0;
  for (const [pattern, entry] of entries) {
    if (!pattern.startsWith("*") || pattern.length <= length || !hostMatches(pattern, host)) continue;
    const candidate = pick(entry);
    if (candidate === undefined) continue;
    best = candidate;
    length = pattern.length;
  }
  return best;
}

/** Istio's `exportTo`: nothing set means everybody. */
export function isExportedTo(exportTo: readonly string[] | undefined, owner: string, namespace: string): boolean {
  if (exportTo === undefined || exportTo.length === 0) return true;
  return exportTo.some((to) => to === "*" || to === namespace || (to === "." && owner === namespace));
}

/** The name by which routes of the mesh itself are bound. */
export const MESH_GATEWAY = "mesh";

/** `namespace/name` of the Gateway that is meant, or `mesh`; besides `name`, `./name` and `namespace/name` there is the old form `name.namespace.svc…`. */
export function gatewayName(written: string, namespace: string): string {
  if (written === MESH_GATEWAY) return written;
  const [first = "", second] = written.split("/");
  if (second !== undefined) return first === "." ? `${namespace}/${second}` : written;
  const [name = "", other] = first.split(".");
  return `${other ?? namespace}/${name}`;
}

/** What two patterns have in common: the narrower one, where it is within the other. */
export function commonHost(left: string, right: string): string | undefined {
  if (hostMatches(left, right)) return right;
  return hostMatches(right, left) ? left : undefined;
}
