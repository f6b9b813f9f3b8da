// Outlier detection that can't eject, or that ejects too much.

import type { OutlierDetectionSettings } from "../api/istio/traffic.ts";
import { effectivePolicy, type HostRule } from "../model/destination.ts";
import { matchesLabels } from "../model/endpoint.ts";
import { list } from "./fields.ts";
import { type Finding, finding } from "./finding.ts";
import { originOf } from "./origin.ts";
import { type World, workloadsOfService } from "./world.ts";

const MAX_EJECTION_DEFAULT_PERCENT = 10;
const ALL_PERCENT = 100;

interface Target {
  readonly subset: string | undefined;
  readonly replicas: number;
  readonly settings: OutlierDetectionSettings;
}

export function analyzeEjection(rule: HostRule, world: World): readonly Finding[] {
  const targets = targetsOf(rule, world);
  return [...never(rule, targets, world), ...tooMuch(rule, targets, world), ...tooSoon(rule, targets, world)];
}

/** Each subset has hosts of its own to eject; the host as a whole counts where there are no subsets. */
function targetsOf(rule: HostRule, world: World): readonly Target[] {
  const service = world.snapshot.services.get(rule.host);
  const resource = world.snapshot.resources.services.get(`${service?.namespace}/${service?.name}`);
  const workloads = resource === undefined ? [] : workloadsOfService(world, resource);
  const port = service?.ports[0]?.number ?? 0;
  const subsets = rule.subsets.length === 0 ? [undefined] : rule.subsets;
  return subsets.flatMap((subset) => {
    const settings = effectivePolicy(rule, subset?.name, port).outlierDetection;
    if (settings === undefined) return [];
    const replicas = workloads
      .filter(({ labels }) => matchesLabels(subset?.labels, labels))
      .reduce((sum, each) => sum + each.replicas, 0);
    return [{ subset: subset?.name, replicas, settings }];
  });
}

function never(rule: HostRule, targets: readonly Target[], world: World): readonly Finding[] {
  const stuck = targets.filter(({ replicas, settings }) => {
    return replicas > 0 && Math.floor((replicas * percentOf(settings)) / ALL_PERCENT) < 1;
  });
  return grouped(rule, stuck, { field: "outlierDetection.maxEjectionPercent", world }).map(({ at, group }) => {
    const [first] = group;
    const percent = first === undefined ? 0 : percentOf(first.settings);
    const isDefault = (first?.settings.maxEjectionPercent ?? 0) === 0;
    const each = group.map((target) => `${nameOf(rule, target)} has ${count(target.replicas)}`);
    const needed = Math.ceil(ALL_PERCENT / percent);
    return finding(
      "WEFT0105",
      at,
      `nothing is ever ejected: ${list(each)}, and ${percent} %${isDefault ? " (the default)" : ""} of that is less than one endpoint`,
      `Run at least ${needed} replicas of each, or raise maxEjectionPercent.`,
    );
  });
}

function tooMuch(rule: HostRule, targets: readonly Target[], world: World): readonly Finding[] {
  const open = targets.filter(
    ({ settings }) => percentOf(settings) >= ALL_PERCENT && (settings.minHealthPercent ?? 0) === 0,
  );
  return grouped(rule, open, { field: "outlierDetection.maxEjectionPercent", world }).map(({ at, group }) =>
    finding(
      "WEFT0106",
      at,
      `every endpoint of ${list(group.map((target) => nameOf(rule, target)))} may be ejected at once: when something that they share fails, all requests get a 503 instead of the few that would`,
      "Set maxEjectionPercent to 50 or less, or minHealthPercent to 50.",
    ),
  );
}

const COUNTS = ["consecutive5xxErrors", "consecutiveErrors", "consecutiveGatewayErrors"] as const;

function tooSoon(rule: HostRule, targets: readonly Target[], world: World): readonly Finding[] {
  return COUNTS.flatMap((field) => {
    const hasty = targets.filter(({ settings }) => settings[field] === 1 && (settings.minRequestVolume ?? 0) <= 1);
    return grouped(rule, hasty, { field: `outlierDetection.${field}`, world }).map(({ at, group }) =>
      finding(
        "WEFT0106",
        at,
        `one error ejects an endpoint of ${list(group.map((target) => nameOf(rule, target)))}: a single bad request shifts its traffic to the others, in an incident from one to the next`,
        "Set it to 5, as Istio's default is, or set minRequestVolume.",
      ),
    );
  });
}

/** Of zero, Envoy's default is meant. */
function percentOf(settings: OutlierDetectionSettings): number {
  const percent = settings.maxEjectionPercent ?? 0;
  return percent > 0 ? percent : MAX_EJECTION_DEFAULT_PERCENT;
}

function nameOf(rule: HostRule, target: Target): string {
  return target.subset === undefined ? rule.host : `subset ${target.subset}`;
}

function count(replicas: number): string {
  return replicas === 1 ? "1 replica" : `${replicas} replicas`;
}

interface Group {
  readonly at: Pick<Finding, "resource" | "path">;
  readonly group: readonly Target[];
}

/** One finding for all subsets that have their setting from the same place. */
function grouped(
  rule: HostRule,
  targets: readonly Target[],
  setting: { readonly field: string; readonly world: World },
): readonly Group[] {
  const groups = new Map<string, { at: Group["at"]; group: Target[] }>();
  for (const target of targets) {
    const section = setting.field.split(".")[0] ?? "";
    const at =
      originOf(setting.world, rule, { subset: target.subset, field: setting.field }) ??
      originOf(setting.world, rule, { subset: target.subset, field: section });
    if (at === undefined) continue;
    const key = `${at.resource.name} ${at.path}`;
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { at, group: [target] });
    else known.group.push(target);
  }
  return [...groups.values()];
}
