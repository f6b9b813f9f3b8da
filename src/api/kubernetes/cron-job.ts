// CronJob: a Job at every time that its schedule names.

import type { Static } from "typebox";
import { ageColumn, nameColumn } from "../columns.ts";
import { parseSchedule } from "../cron.ts";
import { errorIssue, type Issue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { flag, int32, int64, list, objectMeta, objectReference, oneOf, struct, text, time } from "./fields.ts";
import { checkJobSpec, jobSpec } from "./job.ts";
import { templateDefaults } from "./workload.ts";

const cronJobSpec = struct(
  { schedule: text, jobTemplate: struct({}, { metadata: objectMeta, spec: jobSpec }) },
  {
    timeZone: text,
    startingDeadlineSeconds: int64,
    concurrencyPolicy: oneOf("Allow", "Forbid", "Replace"),
    suspend: flag,
    successfulJobsHistoryLimit: int32,
    failedJobsHistoryLimit: int32,
  },
);
const cronJobStatus = struct({}, { active: list(objectReference), lastScheduleTime: time, lastSuccessfulTime: time });
export type CronJobStatus = Static<typeof cronJobStatus>;

export interface CronJob extends KubeObject {
  readonly spec: Static<typeof cronJobSpec>;
  readonly status?: CronJobStatus;
}

export const cronJobKind: Kind<CronJob> = {
  group: "batch",
  versions: ["v1"],
  kind: "CronJob",
  plural: "cronjobs",
  singular: "cronjob",
  shortNames: ["cj"],
  categories: ["all"],
  namespaced: true,
  origin: "builtin",
  subresources: ["status"],
  summary: "CronJob represents the configuration of a single cron job: a Job at every time that its schedule names.",
  schema: struct({ spec: cronJobSpec }, { status: cronJobStatus }),
  columns: [
    nameColumn,
    { name: "Schedule", type: "string", priority: 0, value: (cron) => cron.spec.schedule },
    { name: "Timezone", type: "string", priority: 0, value: (cron) => cron.spec.timeZone ?? "<none>" },
    { name: "Suspend", type: "string", priority: 0, value: (cron) => (cron.spec.suspend === true ? "True" : "False") },
    { name: "Active", type: "integer", priority: 0, value: (cron) => cron.status?.active?.length ?? 0 },
    {
      name: "Last Schedule",
      type: "string",
      priority: 0,
      value: ({ status }) => (status?.lastScheduleTime === undefined ? "<none>" : `<${status.lastScheduleTime}>`),
    },
    ageColumn,
  ] satisfies readonly Column<CronJob>[],
  applyDefaults: (cron) => ({ ...cron, spec: cronDefaults(cron.spec) }),
  check: checkCronJob,
};

function cronDefaults(spec: CronJob["spec"]): CronJob["spec"] {
  const { jobTemplate } = spec;
  return {
    concurrencyPolicy: "Allow",
    suspend: false,
    successfulJobsHistoryLimit: 3,
    failedJobsHistoryLimit: 1,
    ...spec,
    jobTemplate:
      jobTemplate.spec === undefined
        ? jobTemplate
        : { ...jobTemplate, spec: { ...jobTemplate.spec, template: templateDefaults(jobTemplate.spec.template) } },
  };
}

function checkCronJob({ spec }: CronJob): readonly Issue[] {
  const issues: Issue[] = [];
  const schedule = parseSchedule(spec.schedule);
  if (!schedule.ok) issues.push(errorIssue("spec.schedule", schedule.error));
  if (spec.timeZone !== undefined && !isTimeZone(spec.timeZone)) {
    issues.push(errorIssue("spec.timeZone", `unknown time zone ${spec.timeZone}`));
  }
  const job = spec.jobTemplate.spec;
  if (job === undefined) issues.push(errorIssue("spec.jobTemplate.spec.template", "", "required"));
  else issues.push(...checkJobSpec(job, "spec.jobTemplate.spec"));
  return issues;
}

function isTimeZone(name: string): boolean {
  return (
    name === "UTC" || Intl.supportedValuesOf("timeZone").some((known) => known.toLowerCase() === name.toLowerCase())
  );
}
