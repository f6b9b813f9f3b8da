// What a sidecar does when its container's memory limit is near: it sheds load before the kernel ends it.

import type { OverloadManager } from "../proto/gen/envoy/config/overload/v3/overload.ts";
import { CgroupMemoryConfig } from "../proto/gen/envoy/extensions/resource_monitors/cgroup_memory/v3/cgroup_memory.ts";
import { OVERLOAD_REFRESH_MS } from "./limits.ts";

export const MONITOR = "envoy.resource_monitors.cgroup_memory";

/** Shares of the container's limit at which each begins, and is complete. Connections cost the most, new ones too. */
export const SHEDDING = [
  { name: "envoy.overload_actions.shrink_heap", from: 0.8, to: 0.85 },
  { name: "envoy.overload_actions.disable_http_keepalive", from: 0.8, to: 0.9 },
  { name: "envoy.overload_actions.stop_accepting_requests", from: 0.85, to: 0.95 },
  { name: "envoy.overload_actions.reject_incoming_connections", from: 0.9, to: 0.95 },
];

/** Without a limit on the container it never acts. */
export function sidecarOverload(): OverloadManager {
  return {
    refreshInterval: { seconds: 0, nanos: OVERLOAD_REFRESH_MS * 1e6 },
    resourceMonitors: [
      {
        name: MONITOR,
        configType: {
          $case: "typedConfig",
          value: {
            typeUrl: "type.googleapis.com/envoy.extensions.resource_monitors.cgroup_memory.v3.CgroupMemoryConfig",
            value: Buffer.from(CgroupMemoryConfig.encode({ maxMemoryBytes: 0 }).finish()),
          },
        },
      },
    ],
    actions: SHEDDING.map(({ name, from, to }) => ({
      name,
      triggers: [
        {
          name: MONITOR,
          triggerOneof: { $case: "scaled", value: { scalingThreshold: from, saturationThreshold: to } },
        },
      ],
      typedConfig: undefined,
    })),
    loadshedPoints: [],
    bufferFactoryConfig: undefined,
  };
}
