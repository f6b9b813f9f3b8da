// ServiceEntries: TCP that nothing tells apart, and ports that two of them declare differently.

import type { ServiceEntry } from "../api/istio/service-entry.ts";
import { refOf } from "../model/finding.ts";
import { type Finding, finding } from "./finding.ts";
import type { World } from "./world.ts";

export function analyzeServiceEntries({ snapshot }: World): readonly Finding[] {
  const entries = [...snapshot.resources.serviceEntries.values()];
  return [...entries.flatMap(withoutAddress), ...differingProtocols(entries)];
}

/** Connections that aren't HTTP or TLS are told by their address alone. */
function withoutAddress(entry: ServiceEntry): readonly Finding[] {
  const { addresses = [], ports = [], resolution = "NONE" } = entry.spec;
  // Where names are resolved by the mesh, it gives addresses itself.
  if (addresses.length > 0 || resolution !== "NONE") return [];
  return ports.flatMap((port, i) => {
    const protocol = (port.protocol ?? "").toUpperCase();
    if (protocol !== "" && protocol !== "TCP") return [];
    return [
      finding(
        "IST0134",
        { resource: refOf(entry), path: `spec.ports[${i}].protocol` },
        "ServiceEntry addresses are required for this protocol.",
        "Set spec.addresses: without them every connection to this port, to any address, is taken for this host.",
      ),
    ];
  });
}

interface Use {
  readonly entry: ServiceEntry;
  readonly index: number;
  readonly protocol: string;
}

function differingProtocols(entries: readonly ServiceEntry[]): readonly Finding[] {
  const uses = new Map<string, Use[]>();
  for (const entry of entries) {
    for (const host of entry.spec.hosts) {
      for (const [index, { number, protocol = "TCP" }] of (entry.spec.ports ?? []).entries()) {
        const key = `${host}:${number}`;
        uses.set(key, [...(uses.get(key) ?? []), { entry, index, protocol: protocol.toUpperCase() }]);
      }
    }
  }
  return [...uses].flatMap(([key, all]) => {
    const protocols = [...new Set(all.map(({ protocol }) => protocol))];
    if (protocols.length < 2) return [];
    return all.map(({ entry, index }) =>
      finding(
        "IST0177",
        { resource: refOf(entry), path: `spec.ports[${index}].protocol` },
        `ServiceEntries declare ${key} with different protocols: [${protocols.join(" ")}].`,
        "Declare one protocol for the port of a host.",
      ),
    );
  });
}
