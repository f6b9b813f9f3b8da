// The mesh's own trust domain goes by several names: what is written with one of them is meant with each.

import type { MeshConfig } from "./mesh-config.ts";

/** A principal under each name of the mesh's trust domain; one that leaves the domain open, as it is. */
export function principalForms(principal: string, mesh: MeshConfig): readonly string[] {
  const parts = principal.split("/");
  const [domain = ""] = parts;
  if (parts.length !== 5 || domain === "*") return [principal];
  const own = [mesh.trustDomain, ...mesh.trustDomainAliases];
  const covers = (each: string): boolean => domain.startsWith("*") && each.endsWith(domain.slice(1));
  // Whatever the mesh's own is called, cluster.local stands for it.
  if (!own.some((each) => each === domain || covers(each)) && domain !== "cluster.local") return [principal];
  return [...new Set(own.map((each) => (covers(each) ? principal : `${each}${principal.slice(domain.length)}`)))];
}

/** Naming one of the mesh's own trust domains means them all. */
export function trustDomainsOf(domains: readonly string[], mesh: MeshConfig): readonly string[] {
  const own = [mesh.trustDomain, ...mesh.trustDomainAliases];
  return [...new Set(domains.flatMap((domain) => (own.includes(domain) ? own : [domain])))];
}
