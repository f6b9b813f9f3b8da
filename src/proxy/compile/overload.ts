// A bootstrap's overload manager: what is watched, and what is done at which pressure.

import type { OverloadManager, ResourceMonitor, Trigger } from "../../proto/gen/envoy/config/overload/v3/overload.ts";
import { CgroupMemoryConfig } from "../../proto/gen/envoy/extensions/resource_monitors/cgroup_memory/v3/cgroup_memory.ts";
import { FixedHeapConfig } from "../../proto/gen/envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap.ts";
import { type Field, fields } from "./field.ts";
import { durationMs } from "./value.ts";

export interface OverloadConfig {
  readonly refreshMs: number;
  readonly monitors: readonly MonitorConfig[];
  readonly actions: readonly OverloadActionConfig[];
}

/** `maxBytes` of a control group is its own limit where it isn't said. */
export type MonitorConfig =
  | { readonly kind: "fixed_heap"; readonly name: string; readonly maxBytes: number }
  | { readonly kind: "cgroup_memory"; readonly name: string; readonly maxBytes: number | undefined };

export interface OverloadActionConfig {
  readonly name: string;
  readonly effect: Effect;
  readonly triggers: readonly TriggerConfig[];
}

export type Effect = "refuse-requests" | "end-keep-alive" | "refuse-connections" | "collect";

/** Nothing up to the pressure `from`, everything at `to`, in proportion between them. Both 0 to 1. */
export interface TriggerConfig {
  readonly monitor: string;
  readonly from: number;
  readonly to: number;
}

/** Envoy's. */
const REFRESH_MS = 1000;
const FIXED_HEAP = "type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig";
const CGROUP_MEMORY = "type.googleapis.com/envoy.extensions.resource_monitors.cgroup_memory.v3.CgroupMemoryConfig";

const ACTIONS = new Map<string, Effect>([
  ["envoy.overload_actions.stop_accepting_requests", "refuse-requests"],
  ["envoy.overload_actions.disable_http_keepalive", "end-keep-alive"],
  ["envoy.overload_actions.reject_incoming_connections", "refuse-connections"],
  ["envoy.overload_actions.shrink_heap", "collect"],
]);
const SHED_POINTS = new Map<string, Effect>([
  ["envoy.load_shed_points.http_connection_manager_decode_headers", "refuse-requests"],
  ["envoy.load_shed_points.tcp_listener_accept", "refuse-connections"],
]);

export function compileOverload(manager: OverloadManager, at: Field): OverloadConfig {
  at.only(manager, fields("refreshInterval resourceMonitors actions loadshedPoints"));
  const monitors = manager.resourceMonitors.flatMap((one, index) => monitor(one, at.at("resourceMonitors").at(index)));
  const names = new Set(monitors.map(({ name }) => name));
  const known = (list: OverloadManager["actions"], effects: ReadonlyMap<string, Effect>, field: Field) =>
    list.flatMap((one, index) => {
      const place = field.at(index);
      place.only(one, fields("name triggers"));
      const effect = effects.get(one.name);
      if (effect === undefined) place.at("name").refuse(`weft's proxy has: ${[...effects.keys()].join(", ")}`);
      const triggers = one.triggers.flatMap((each, nth) => trigger(each, names, place.at("triggers").at(nth)));
      if (triggers.length === 0) place.at("triggers").refuse("one is needed at least");
      return effect === undefined ? [] : [{ name: one.name, effect, triggers }];
    });
  return {
    refreshMs: durationMs(manager.refreshInterval) ?? REFRESH_MS,
    monitors,
    actions: [
      ...known(manager.actions, ACTIONS, at.at("actions")),
      ...known(
        manager.loadshedPoints.map((one) => ({ ...one, typedConfig: undefined })),
        SHED_POINTS,
        at.at("loadshedPoints"),
      ),
    ],
  };
}

function monitor(one: ResourceMonitor, at: Field): readonly MonitorConfig[] {
  const { name, configType } = one;
  const any = configType?.value;
  if (any?.typeUrl === FIXED_HEAP) {
    const maxBytes = FixedHeapConfig.decode(any.value).maxHeapSizeBytes;
    if (maxBytes === 0) at.at("typedConfig").as(FIXED_HEAP).at("maxHeapSizeBytes").refuse("must be above 0");
    return [{ kind: "fixed_heap", name, maxBytes }];
  }
  if (any?.typeUrl === CGROUP_MEMORY)
    return [
      { kind: "cgroup_memory", name, maxBytes: CgroupMemoryConfig.decode(any.value).maxMemoryBytes || undefined },
    ];
  at.at("typedConfig").refuse("weft's proxy watches fixed_heap and cgroup_memory");
  return [];
}

function trigger(one: Trigger, monitors: ReadonlySet<string>, at: Field): readonly TriggerConfig[] {
  const { name, triggerOneof: when } = one;
  if (!monitors.has(name)) {
    at.at("name").refuse(`no resource monitor is named ${name}`);
    return [];
  }
  switch (when?.$case) {
    case "threshold":
      return [{ monitor: name, from: when.value.value, to: when.value.value }];
    case "scaled": {
      const { scalingThreshold: from, saturationThreshold: to } = when.value;
      if (from >= to) at.at("scaled").at("saturationThreshold").refuse("must be above scaling_threshold");
      return [{ monitor: name, from, to }];
    }
    default:
      at.refuse("either threshold or scaled is needed");
      return [];
  }
}
