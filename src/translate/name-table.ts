// The names that a proxy answers its application's questions from: every service that it sees, where it can be called.

import type { Alias } from "../model/external-name.ts";
import type { Service } from "../model/service.ts";
import { calledService } from "../model/services.ts";
import { NameTable, type NameTable_NameInfo } from "../proto/gen/istio/nds.ts";
import { addressesOf, type ClientView } from "./view.ts";

/** Empty for a proxy that nobody asks. */
export function nameTables(view: ClientView): readonly NameTable[] {
  if (!view.dnsCapture) return [];
  const table: Record<string, NameTable_NameInfo> = {};
  for (const service of view.services) {
    const ips = callableAddresses(service, view);
    // What has no address of the mesh's choice has that of the network's own DNS.
    if (ips.length === 0) continue;
    table[service.host] = nameInfo(service, ips);
    for (const [name, addresses] of podNames(service)) table[name] = nameInfo(undefined, addresses);
  }
  for (const alias of view.snapshot.index.aliases) {
    const service = calledService(view.snapshot.index, alias.host, view.namespace);
    const ips = service === undefined ? [] : callableAddresses(service, view);
    if (ips.length > 0) table[alias.host] = nameInfo(alias, ips);
  }
  return [NameTable.fromPartial({ table })];
}

function callableAddresses(service: Service, view: ClientView): string[] {
  if (service.headless) return [...new Set(podsOf(service).map(({ address }) => address))].sort();
  return [...addressesOf(service, view)];
}

function podsOf({ endpoints }: Service): readonly { readonly address: string; readonly pod: string }[] {
  return [...endpoints.values()].flat();
}

/** A pod of a headless service is called by its own name before the service's. */
function podNames(service: Service): ReadonlyMap<string, string[]> {
  const names = new Map<string, string[]>();
  if (!service.headless) return names;
  for (const { pod, address } of podsOf(service)) {
    if (pod === "") continue;
    const name = `${pod}.${service.host}`;
    const known = names.get(name) ?? [];
    names.set(name, known);
    if (!known.includes(address)) known.push(address);
  }
  return names;
}

/** `shortname` and `namespace` are those of Kubernetes' services, which have shorter names too. */
function nameInfo(of: Service | Alias | undefined, ips: string[]): NameTable_NameInfo {
  const isKubernetes = of !== undefined && (!("source" in of) || of.source.kind === "Service");
  return {
    ips,
    registry: of === undefined || isKubernetes ? "Kubernetes" : "External",
    shortname: isKubernetes ? of.name : "",
    namespace: isKubernetes ? of.namespace : "",
    altHosts: [],
  };
}
