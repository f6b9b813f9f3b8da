// Job: pods that run until so many of them have succeeded.

import type { Static } from "typebox";
import { deepEqual } from "../../base/equal.ts";
import { formatAge } from "../age.ts";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue, type Issue, warningIssue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import {
  anything,
  flag,
  int32,
  int64,
  labelSelector,
  list,
  mergeList,
  oneOf,
  struct,
  text,
  time,
  workloadCondition,
} from "./fields.ts";
import { checkPodSpec } from "./pod-check.ts";
import { podTemplate } from "./pod-spec.ts";
import { selectorCell, templateColumns, templateDefaults } from "./workload.ts";

export const jobSpec = struct(
  { template: podTemplate },
  {
    parallelism: int32,
    completions: int32,
    completionMode: oneOf("NonIndexed", "Indexed"),
    backoffLimit: int32,
    backoffLimitPerIndex: int32,
    maxFailedIndexes: int32,
    activeDeadlineSeconds: int64,
    ttlSecondsAfterFinished: int32,
    suspend: flag,
    selector: labelSelector,
    manualSelector: flag,
    podFailurePolicy: struct({ rules: list(anything) }, {}),
    podReplacementPolicy: oneOf("TerminatingOrFailed", "Failed"),
    successPolicy: struct({ rules: list(anything) }, {}),
    managedBy: text,
  },
);
const jobStatus = struct(
  {},
  {
    conditions: mergeList(workloadCondition, "type"),
    startTime: time,
    completionTime: time,
    active: int32,
    ready: int32,
    terminating: int32,
    succeeded: int32,
    failed: int32,
    completedIndexes: text,
    failedIndexes: text,
    uncountedTerminatedPods: struct({}, { succeeded: list(text), failed: list(text) }),
  },
);
export type JobSpec = Static<typeof jobSpec>;
export type JobStatus = Static<typeof jobStatus>;

export interface Job extends KubeObject {
  readonly spec: JobSpec;
  readonly status?: JobStatus;
}

const JOB_NAME_LABEL = "batch.kubernetes.io/job-name";
const JOB_UID_LABEL = "batch.kubernetes.io/controller-uid";

export const jobKind: Kind<Job> = {
  group: "batch",
  versions: ["v1"],
  kind: "Job",
  plural: "jobs",
  singular: "job",
  shortNames: [],
  categories: ["all"],
  namespaced: true,
  origin: "builtin",
  subresources: ["status"],
  summary: "Job represents the configuration of a single job: pods that run to completion.",
  schema: struct({ spec: jobSpec }, { status: jobStatus }),
  columns: [
    nameColumn,
    { name: "Status", type: "string", priority: 0, value: statusCell },
    { name: "Completions", type: "string", priority: 0, value: completionsCell },
    { name: "Duration", type: "string", priority: 0, value: durationCell },
    ageColumn,
    ...templateColumns,
    { name: "Selector", type: "string", priority: 1, value: (job) => selectorCell(job.spec.selector ?? {}) },
  ] satisfies readonly Column<Job>[],
  applyDefaults: (job) => ({ ...job, spec: jobDefaults(job) }),
  check: checkJob,
};

export function isJobOver(job: Job): "Complete" | "Failed" | undefined {
  const over = job.status?.conditions?.find(
    ({ type, status }) => (type === "Complete" || type === "Failed") && status === "True",
  );
  return over === undefined ? undefined : over.type === "Complete" ? "Complete" : "Failed";
}

/** Where the manifest names no selector, the Job's own uid selects its pods. */
function jobDefaults({ metadata, spec }: Job): JobSpec {
  const uid = metadata.uid ?? "";
  const isManual = spec.manualSelector === true || uid === "";
  const own = {
    [JOB_UID_LABEL]: uid,
    [JOB_NAME_LABEL]: metadata.name,
    "controller-uid": uid,
    "job-name": metadata.name,
  };
  const template = templateDefaults(spec.template);
  const once = spec.completions === undefined && spec.parallelism === undefined ? { completions: 1 } : {};
  return {
    parallelism: 1,
    ...once,
    backoffLimit: 6,
    completionMode: "NonIndexed",
    suspend: false,
    podReplacementPolicy: "TerminatingOrFailed",
    ...spec,
    ...(isManual ? {} : { selector: spec.selector ?? { matchLabels: { [JOB_UID_LABEL]: uid } } }),
    template: isManual
      ? template
      : { ...template, metadata: { ...template.metadata, labels: { ...template.metadata?.labels, ...own } } },
  };
}

function checkJob(job: Job, previous: Job | undefined): readonly Issue[] {
  const issues: Issue[] = [];
  const { spec } = job;
  issues.push(...checkJobSpec(spec, "spec"));
  if (previous !== undefined && !deepEqual(withoutSchedule(spec), withoutSchedule(previous.spec))) {
    issues.push(errorIssue("spec.template", "field is immutable"));
  }
  return issues;
}

export function checkJobSpec(spec: JobSpec, path: string): Issue[] {
  const issues: Issue[] = [];
  for (const field of ["parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"] as const) {
    if ((spec[field] ?? 0) < 0) issues.push(errorIssue(`${path}.${field}`, "must be greater than or equal to 0"));
  }
  if (spec.completionMode === "Indexed" && spec.completions === undefined) {
    issues.push(errorIssue(`${path}.completions`, "when completion mode is Indexed", "required"));
  }
  for (const field of ["podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "managedBy"] as const) {
    if (spec[field] !== undefined) issues.push(warningIssue(`${path}.${field}`, "has no effect on the local cluster"));
  }
  const { template } = spec;
  if (template.spec === undefined) return [...issues, errorIssue(`${path}.template.spec.containers`, "", "required")];
  issues.push(...checkPodSpec(template.spec, `${path}.template.spec`));
  const policy = template.spec.restartPolicy;
  if (policy !== "OnFailure" && policy !== "Never") {
    issues.push(
      errorIssue(`${path}.template.spec.restartPolicy`, 'supported values: "OnFailure", "Never"', "unsupported"),
    );
  }
  return issues;
}

/** What may change while the Job runs. */
function withoutSchedule({ parallelism, suspend, activeDeadlineSeconds, backoffLimit, ...rest }: JobSpec): unknown {
  const { ttlSecondsAfterFinished, completions, ...fixed } = rest;
  void [parallelism, suspend, activeDeadlineSeconds, backoffLimit, ttlSecondsAfterFinished];
  return fixed.completionMode === "Indexed" ? fixed : { ...fixed, completions };
}

function statusCell(job: Job): string {
  const over = isJobOver(job);
  if (over !== undefined) return over;
  if (job.metadata.deletionTimestamp !== undefined) return "Terminating";
  return job.spec.suspend === true ? "Suspended" : "Running";
}

function completionsCell({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec.parallelism ?? 1;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

/** Of one that runs, the time since its start, which the printer works out. */
function durationCell({ status }: Job): string {
  if (status?.startTime === undefined) return "";
  if (status.completionTime === undefined) return `<${status.startTime}>`;
  return formatAge(Date.parse(status.completionTime) - Date.parse(status.startTime));
}
