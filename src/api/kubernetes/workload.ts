// What the kinds that make pods share: a selector, a template, and how they print.

import { mapCell } from "../columns.ts";
import { errorIssue, type Issue } from "../issue.ts";
import type { Column } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import type { LabelSelector } from "./fields.ts";
import { checkPodSpec } from "./pod-check.ts";
import { podSpecDefaults } from "./pod-defaults.ts";
import type { PodTemplate } from "./pod-spec.ts";

export interface Workload extends KubeObject {
  readonly spec: { readonly replicas?: number; readonly selector: LabelSelector; readonly template: PodTemplate };
}

export function templateDefaults(template: PodTemplate): PodTemplate {
  return template.spec === undefined ? template : { ...template, spec: podSpecDefaults(template.spec) };
}

/** `moreVolumes`: names that the template's mounts may use beside its own volumes. */
export function checkWorkload(object: Workload, moreVolumes: readonly string[] = []): Issue[] {
  const issues: Issue[] = [];
  const { selector, template } = object.spec;
  if ((object.spec.replicas ?? 1) < 0) {
    issues.push(errorIssue("spec.replicas", "must be greater than or equal to 0"));
  }
  if (isEmptySelector(selector)) {
    issues.push(errorIssue("spec.selector", "empty selector is invalid for deployment"));
  }
  const labels = template.metadata?.labels ?? {};
  if (!Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value)) {
    issues.push(errorIssue("spec.template.metadata.labels", "`selector` does not match template `labels`"));
  }
  if (template.spec === undefined) issues.push(errorIssue("spec.template.spec.containers", "", "required"));
  else {
    issues.push(...checkPodSpec(template.spec, "spec.template.spec", moreVolumes));
    if ((template.spec.restartPolicy ?? "Always") !== "Always") {
      issues.push(errorIssue("spec.template.spec.restartPolicy", 'supported values: "Always"', "unsupported"));
    }
  }
  return issues;
}

function isEmptySelector(selector: LabelSelector): boolean {
  return Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;
}

interface Templated extends KubeObject {
  readonly spec: { readonly template: PodTemplate };
}

export const templateColumns: readonly Column<Templated>[] = [
  {
    name: "Containers",
    type: "string",
    priority: 1,
    value: (object) => (object.spec.template.spec?.containers ?? []).map((container) => container.name).join(","),
  },
  {
    name: "Images",
    type: "string",
    priority: 1,
    value: (object) =>
      (object.spec.template.spec?.containers ?? []).map((container) => container.image ?? "").join(","),
  },
];

export const workloadWideColumns: readonly Column<Workload>[] = [
  ...templateColumns,
  { name: "Selector", type: "string", priority: 1, value: (object) => selectorCell(object.spec.selector) },
];

export function selectorCell(selector: LabelSelector): string {
  const labels = Object.keys(selector.matchLabels ?? {}).length === 0 ? [] : [mapCell(selector.matchLabels)];
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (operator === "Exists") return key;
    if (operator === "DoesNotExist") return `!${key}`;
    return `${key} ${operator === "In" ? "in" : "notin"} (${values.join(",")})`;
  });
  const all = [...labels, ...expressions];
  return all.length === 0 ? "<none>" : all.join(",");
}
