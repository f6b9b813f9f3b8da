// In which mode a service's workloads take connections, in one word. Values in, values out.

import { modeOf } from "../analyze/peer.ts";
import { type World, workloadsOfService } from "../analyze/world.ts";

export function mtlsByService(world: World): (id: string) => string {
  const modes = new Map<string, string>();
  for (const service of world.snapshot.resources.services.values()) {
    const words = new Set(
      workloadsOfService(world, service).map((workload) =>
        workload.hasSidecar === false ? "none" : modeOf(world, workload, 0).mode,
      ),
    );
    const [only = ""] = words;
    modes.set(`${service.metadata.namespace}/${service.metadata.name}`, words.size > 1 ? "MIXED" : only);
  }
  return (id) => modes.get(id) ?? "";
}
