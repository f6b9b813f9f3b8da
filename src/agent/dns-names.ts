// The control plane's name table as a resolver asks it. Pure.

import type { NameAnswer } from "../dns/answer.ts";
import type { NameTable } from "../proto/gen/istio/nds.ts";

export type Lookup = (asked: string) => NameAnswer;

export interface LookupOptions {
  /** Short names are those of this namespace. */
  readonly namespace: string;
  /** `cluster.local`. */
  readonly clusterDomain: string;
}

/** Names are compared without regard to case. What isn't in the table is for the servers of resolv.conf to say. */
export function makeLookup(table: NameTable, { namespace, clusterDomain }: LookupOptions): Lookup {
  const names = new Map<string, readonly string[]>();
  for (const [host, { ips, shortname, namespace: own }] of Object.entries(table.table)) {
    names.set(host.toLowerCase(), ips);
    if (shortname === "" || own === "") continue;
    for (const name of [`${shortname}.${own}.svc`, `${shortname}.${own}`]) names.set(name, ips);
    if (own === namespace) names.set(shortname, ips);
  }
  return (asked) => {
    const name = asked.toLowerCase().replace(/\.$/, "");
    const addresses = names.get(name) ?? covering(names, name);
    if (addresses === undefined) return { kind: "foreign" };
    return { kind: "known", addresses, zone: name.endsWith(`.${clusterDomain}`) ? clusterDomain : name };
  };
}

/** `*.example.com`, the longest first. */
function covering(names: ReadonlyMap<string, readonly string[]>, name: string): readonly string[] | undefined {
  for (let dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1)) {
    const addresses = names.get(`*${name.slice(dot)}`);
    if (addresses !== undefined) return addresses;
  }
  return undefined;
}
