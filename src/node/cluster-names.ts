// The local cluster's names: services and pods of the cluster's domain, to addresses. Pure.

import type { NameAnswer } from "../dns/answer.ts";
import type { ServiceRoute } from "./sandbox.ts";

export interface NameTable {
  readonly domain: string;
  /** `api.production` to its addresses: the service's own, or the pods' of a headless one; `db-0.db.production` to the pod's. */
  readonly services: ReadonlyMap<string, readonly string[]>;
  readonly namespaces: ReadonlySet<string>;
}

export function nameTable(routes: readonly ServiceRoute[], domain = "cluster.local"): NameTable {
  const services = new Map<string, readonly string[]>();
  for (const route of routes) {
    const headless = route.clusterIP === "" || route.clusterIP === "None";
    const key = `${route.name}.${route.namespace}`;
    for (const { name, ip } of route.hosts ?? []) services.set(`${name}.${key}`, [ip]);
    services.set(key, headless ? route.addresses : [route.clusterIP]);
  }
  return { domain, services, namespaces: new Set(routes.map(({ namespace }) => namespace)) };
}

/** Names are compared without regard to case; the empty ones in between (`svc.cluster.local`) exist, without address. */
export function resolveName(table: NameTable, asked: string): NameAnswer {
  const name = asked.toLowerCase().replace(/\.$/, "");
  const zone = table.domain;
  const missing = { kind: "missing", zone } as const;
  if (name === "localhost") return { kind: "known", addresses: ["127.0.0.1"], zone };
  const reverse = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  if (reverse !== null) return missing;
  if (name === zone) return { kind: "known", addresses: [], zone };
  if (!name.endsWith(`.${zone}`)) return name.includes(".") ? { kind: "foreign" } : missing;
  const labels = name.slice(0, -zone.length - 1).split(".");
  const kind = labels.pop();
  const addresses =
    kind === "svc" ? serviceAddresses(table, labels) : kind === "pod" ? podAddresses(labels) : undefined;
  return addresses === undefined ? missing : { kind: "known", addresses, zone };
}

function serviceAddresses(table: NameTable, labels: readonly string[]): readonly string[] | undefined {
  if (labels.length === 0) return [];
  if (labels.length === 1) return table.namespaces.has(labels[0] ?? "") ? [] : undefined;
  return table.services.get(labels.join("."));
}

/** `10-244-0-7.production.pod.cluster.local`: the address is in the name, as Kubernetes' DNS has it. */
function podAddresses(labels: readonly string[]): readonly string[] | undefined {
  const [dashed = ""] = labels;
  if (labels.length !== 2 || !/^\d{1,3}(-\d{1,3}){3}$/.test(dashed)) return undefined;
  const parts = dashed.split("-").map(Number);
  return parts.every((part) => part <= 255) ? [parts.join(".")] : undefined;
}
