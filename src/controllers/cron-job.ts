// CronJob: makes a Job at each time of its schedule, and forgets the old ones.

import { nextTime, parseSchedule, type Schedule } from "../api/cron.ts";
import { type CronJob, type CronJobStatus, cronJobKind } from "../api/kubernetes/cron-job.ts";
import { isJobOver, type Job, jobKind } from "../api/kubernetes/job.ts";
import { deepEqual } from "../base/equal.ts";
import { type Controller, type ControllerContext, failed, isRace, runController } from "./controller.ts";
import { CRON_MISSED_MAX } from "./limits.ts";
import { endsWithNamespace } from "./make-pod.ts";
import { controllerOf, controllerReference, isControlledBy, keyOf, refOf } from "./owner.ts";
import { DONE, type Outcome } from "./work-queue.ts";

const SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp";

export function startCronJobs(context: ControllerContext): Controller {
  return runController(context, {
    name: "cronjob",
    feed: (feed) => {
      feed.watch(cronJobKind, (object) => [keyOf(object)]);
      feed.watch(jobKind, (job) => {
        const owner = controllerOf(job);
        return owner?.kind === "CronJob" ? [`${job.metadata.namespace ?? ""}/${owner.name}`] : [];
      });
    },
    reconcile: (key) => reconcile(key, context),
  });
}

async function reconcile(key: string, context: ControllerContext): Promise<Outcome> {
  const { client, clock } = context;
  const ref = refOf(key);
  const found = await client.get(cronJobKind, ref);
  if (!found.ok) return found.error.code === 404 ? DONE : failed("reading the CronJob", found.error);
  const cron = found.value;
  if (cron.metadata.deletionTimestamp !== undefined) return DONE;
  const listed = await client.list(jobKind, ref.namespace === undefined ? {} : { namespace: ref.namespace });
  if (!listed.ok) return failed("listing Jobs", listed.error);
  const jobs = listed.value.filter((job) => isControlledBy(job, cron));
  const forgotten = await forgetOld(cron, jobs, context);
  if (forgotten.kind === "failed") return forgotten;
  const schedule = parseSchedule(cron.spec.schedule);
  if (!schedule.ok || cron.spec.suspend === true) return writeStatus(cron, jobs, context);
  const due = dueTime(cron, schedule.value, clock.wallMs());
  let present: readonly Job[] = jobs;
  let lastMs: number | undefined;
  if (due !== undefined) {
    const begun = await begin(cron, { jobs, dueMs: due }, context);
    if ("kind" in begun) return begun;
    present = begun.jobs;
    lastMs = begun.isMade ? due : undefined;
  }
  const written = await writeStatus(cron, present, context, lastMs);
  if (written.kind !== "done") return written;
  const nextMs = nextTime(schedule.value, clock.wallMs(), zoneOf(cron));
  return nextMs === undefined ? DONE : { kind: "again", afterMs: Math.max(1, nextMs - clock.wallMs()) };
}

function zoneOf(cron: CronJob): string {
  return cron.spec.timeZone ?? "UTC";
}

/** The latest time that has passed without a Job of its own; those before it are not made up for. */
function dueTime(cron: CronJob, schedule: Schedule, nowMs: number): number | undefined {
  const since = cron.status?.lastScheduleTime ?? cron.metadata.creationTimestamp ?? "";
  const deadlineMs = (cron.spec.startingDeadlineSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  let dueMs: number | undefined;
  let fromMs = Math.max(Date.parse(since), nowMs - deadlineMs);
  for (let missed = 0; missed < CRON_MISSED_MAX; missed += 1) {
    const next = nextTime(schedule, fromMs, zoneOf(cron));
    if (next === undefined || next > nowMs) return dueMs;
    dueMs = next;
    fromMs = next;
  }
  // After a long sleep, only what comes next counts.
  return undefined;
}

interface Begun {
  readonly jobs: readonly Job[];
  readonly isMade: boolean;
}

async function begin(
  cron: CronJob,
  { jobs, dueMs }: { readonly jobs: readonly Job[]; readonly dueMs: number },
  context: ControllerContext,
): Promise<Begun | Outcome> {
  const { client, events } = context;
  const running = jobs.filter((job) => isJobOver(job) === undefined);
  if (running.length > 0 && cron.spec.concurrencyPolicy === "Forbid") {
    const message = "Not starting job because prior execution is running and concurrency policy is Forbid";
    events.record({ about: cron, type: "Normal", reason: "JobAlreadyActive", message });
    return { jobs, isMade: false };
  }
  const replaced = cron.spec.concurrencyPolicy === "Replace" ? running : [];
  for (const job of replaced) {
    const removed = await client.remove(jobKind, refOf(keyOf(job)));
    if (!removed.ok && !isRace(removed.error)) return failed("replacing a Job", removed.error);
  }
  const job = jobOf(cron, dueMs);
  if (job === undefined) return { kind: "failed", message: "the template has no spec" };
  const made = await client.create(jobKind, job);
  if (!made.ok && made.error.reason === "AlreadyExists") return { jobs, isMade: true };
  if (!made.ok) return endsWithNamespace(made.error) ? DONE : failed("making a Job", made.error);
  const message = `Created job ${job.metadata.name}`;
  events.record({ about: cron, type: "Normal", reason: "SuccessfulCreate", message });
  return { jobs: [...jobs.filter((other) => !replaced.includes(other)), made.value], isMade: true };
}

function jobOf(cron: CronJob, dueMs: number): Job | undefined {
  const { metadata, spec } = cron.spec.jobTemplate;
  if (spec === undefined) return undefined;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      // The time is in the name: one time makes one Job, whoever tries it twice.
      name: `${cron.metadata.name.slice(0, NAME_CHARS_MAX)}-${Math.floor(dueMs / 60_000)}`,
      ...(cron.metadata.namespace === undefined ? {} : { namespace: cron.metadata.namespace }),
      ...(metadata?.labels === undefined ? {} : { labels: metadata.labels }),
      annotations: { ...metadata?.annotations, [SCHEDULED_AT]: `${new Date(dueMs).toISOString().slice(0, 19)}Z` },
      ownerReferences: [controllerReference(cron)],
    },
    spec,
  };
}

const NAME_CHARS_MAX = 52;

async function forgetOld(cron: CronJob, jobs: readonly Job[], { client }: ControllerContext): Promise<Outcome> {
  const limits = [
    { over: "Complete", limit: cron.spec.successfulJobsHistoryLimit ?? 3 },
    { over: "Failed", limit: cron.spec.failedJobsHistoryLimit ?? 1 },
  ] as const;
  for (const { over, limit } of limits) {
    const finished = jobs
      .filter((job) => isJobOver(job) === over)
      .sort((a, b) => (a.metadata.creationTimestamp ?? "").localeCompare(b.metadata.creationTimestamp ?? ""));
    for (const job of finished.slice(0, Math.max(0, finished.length - limit))) {
      const removed = await client.remove(jobKind, refOf(keyOf(job)));
      if (!removed.ok && !isRace(removed.error)) return failed("removing an old Job", removed.error);
    }
  }
  return DONE;
}

async function writeStatus(
  cron: CronJob,
  jobs: readonly Job[],
  { client }: ControllerContext,
  lastMs?: number,
): Promise<Outcome> {
  const active = jobs.filter((job) => isJobOver(job) === undefined && job.metadata.deletionTimestamp === undefined);
  const done = jobs.map((job) => job.status?.completionTime ?? "").sort();
  const successful = done.at(-1) ?? "";
  const before = cron.status?.lastSuccessfulTime ?? "";
  const lastSuccessfulTime = successful > before ? successful : before;
  const lastScheduleTime =
    lastMs === undefined ? cron.status?.lastScheduleTime : `${new Date(lastMs).toISOString().slice(0, 19)}Z`;
  const status: CronJobStatus = {
    ...(active.length === 0 ? {} : { active: active.map(referenceTo) }),
    ...(lastScheduleTime === undefined ? {} : { lastScheduleTime }),
    ...(lastSuccessfulTime === "" ? {} : { lastSuccessfulTime }),
  };
  if (deepEqual(status, cron.status ?? {})) return DONE;
  const { resourceVersion: _version, ...metadata } = cron.metadata;
  const written = await client.updateStatus(cronJobKind, { ...cron, metadata, status });
  return written.ok || written.error.code === 404 ? DONE : failed("writing the status", written.error);
}

function referenceTo(job: Job): NonNullable<CronJobStatus["active"]>[number] {
  const { name, namespace, uid, resourceVersion } = job.metadata;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}
