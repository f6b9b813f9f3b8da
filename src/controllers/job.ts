// Job: makes pods until enough have succeeded, or too many have failed.

import type { WorkloadCondition } from "../api/kubernetes/fields.ts";
import { isJobOver, type Job, type JobStatus, jobKind } from "../api/kubernetes/job.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import type { PodSpec } from "../api/kubernetes/pod-spec.ts";
import { deepEqual } from "../base/equal.ts";
import { type Controller, type ControllerContext, failed, isRace, runController, timestamp } from "./controller.ts";
import { JOB_RETRY_BASE_MS, JOB_RETRY_MAX_MS, PODS_PER_SYNC_MAX } from "./limits.ts";
import { endsWithNamespace, podFrom } from "./make-pod.ts";
import { generatedName } from "./names.ts";
import { controllerOf, isControlledBy, keyOf, refOf } from "./owner.ts";
import { isActive, isReady } from "./pod-state.ts";
import { DONE, type Outcome } from "./work-queue.ts";

const INDEX = "batch.kubernetes.io/job-completion-index";

export function startJobs(context: ControllerContext): Controller {
  return runController(context, {
    name: "job",
    feed: (feed) => {
      feed.watch(jobKind, (object) => [keyOf(object)]);
      feed.watch(podKind, (pod) => {
        const owner = controllerOf(pod);
        return owner?.kind === "Job" ? [`${pod.metadata.namespace ?? ""}/${owner.name}`] : [];
      });
    },
    reconcile: (key) => reconcile(key, context),
  });
}

interface Picture {
  readonly job: Job;
  readonly active: readonly Pod[];
  readonly ending: number;
  readonly succeeded: number;
  readonly failed: readonly Pod[];
  /** Of an indexed Job. */
  readonly doneIndexes: ReadonlySet<number>;
}

async function reconcile(key: string, context: ControllerContext): Promise<Outcome> {
  const { client } = context;
  const ref = refOf(key);
  const found = await client.get(jobKind, ref);
  if (!found.ok) return found.error.code === 404 ? DONE : failed("reading the Job", found.error);
  const job = found.value;
  if (job.metadata.deletionTimestamp !== undefined) return DONE;
  const listed = await client.list(podKind, ref.namespace === undefined ? {} : { namespace: ref.namespace });
  if (!listed.ok) return failed("listing pods", listed.error);
  const picture = pictureOf(
    job,
    listed.value.filter((pod) => isControlledBy(pod, job)),
  );
  if (isJobOver(job) !== undefined) return cleanUp(picture, context);
  const verdict = verdictOf(picture, context);
  if (verdict !== undefined) return finish(picture, verdict, context);
  if (job.spec.suspend === true) return suspend(picture, context);
  return proceed(picture, context);
}

function pictureOf(job: Job, pods: readonly Pod[]): Picture {
  const succeeded = pods.filter((pod) => pod.status?.phase === "Succeeded");
  const doneIndexes = new Set(succeeded.map(indexOf).filter((index) => index !== undefined));
  const isIndexed = job.spec.completionMode === "Indexed";
  return {
    job,
    active: pods.filter(isActive),
    ending: pods.filter((pod) => pod.metadata.deletionTimestamp !== undefined && pod.status?.phase !== "Succeeded")
      .length,
    // A pod that somebody has removed has succeeded all the same.
    succeeded: isIndexed ? doneIndexes.size : Math.max(succeeded.length, job.status?.succeeded ?? 0),
    failed: pods.filter((pod) => pod.status?.phase === "Failed"),
    doneIndexes,
  };
}

function indexOf(pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[INDEX];
  return text === undefined ? undefined : Number(text);
}

type Verdict = Pick<WorkloadCondition, "type" | "reason" | "message">;

function verdictOf(
  { job, active, succeeded, failed: failures }: Picture,
  { clock }: ControllerContext,
): Verdict | undefined {
  const { completions, backoffLimit = 6, activeDeadlineSeconds } = job.spec;
  if (job.spec.suspend !== true) {
    const restarts = job.spec.template.spec?.restartPolicy === "OnFailure" ? restartsOf(active) : 0;
    if (failures.length > backoffLimit || (restarts > 0 && restarts >= backoffLimit)) {
      const message = "Job has reached the specified backoff limit";
      return { type: "Failed", reason: "BackoffLimitExceeded", message };
    }
    const startedMs = Date.parse(job.status?.startTime ?? "");
    if (activeDeadlineSeconds !== undefined && clock.wallMs() - startedMs >= activeDeadlineSeconds * 1000) {
      const message = "Job was active longer than specified deadline";
      return { type: "Failed", reason: "DeadlineExceeded", message };
    }
  }
  const isDone = completions === undefined ? succeeded > 0 && active.length === 0 : succeeded >= completions;
  const message = "Reached expected number of succeeded pods";
  return isDone ? { type: "Complete", reason: "CompletionsReached", message } : undefined;
}

function restartsOf(pods: readonly Pod[]): number {
  const counts = pods.flatMap(({ status }) => [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []),
  ]);
  return counts.reduce((sum, { restartCount }) => sum + restartCount, 0);
}

async function finish(picture: Picture, verdict: Verdict, context: ControllerContext): Promise<Outcome> {
  const { job, active } = picture;
  const removed = await removePods(job, active, context);
  if (removed.kind === "failed") return removed;
  const now = timestamp(context.clock);
  const condition: WorkloadCondition = { ...verdict, status: "True", lastProbeTime: now, lastTransitionTime: now };
  const isComplete = verdict.type === "Complete";
  context.events.record({
    about: job,
    type: isComplete ? "Normal" : "Warning",
    reason: isComplete ? "Completed" : (verdict.reason ?? "Failed"),
    message: isComplete ? "Job completed" : (verdict.message ?? ""),
  });
  return writeStatus({ ...picture, active: [] }, { conditions: [condition], isComplete }, context);
}

async function cleanUp({ job, active }: Picture, context: ControllerContext): Promise<Outcome> {
  if (active.length > 0) return removePods(job, active, context);
  const { ttlSecondsAfterFinished } = job.spec;
  if (ttlSecondsAfterFinished === undefined) return DONE;
  const over = job.status?.conditions?.find(({ type }) => type === "Complete" || type === "Failed");
  const leftMs = Date.parse(over?.lastTransitionTime ?? "") + ttlSecondsAfterFinished * 1000 - context.clock.wallMs();
  if (leftMs > 0) return { kind: "again", afterMs: leftMs };
  const removed = await context.client.remove(jobKind, refOf(keyOf(job)));
  return removed.ok || isRace(removed.error) ? DONE : failed("removing a Job that is over", removed.error);
}

async function suspend(picture: Picture, context: ControllerContext): Promise<Outcome> {
  const removed = await removePods(picture.job, picture.active, context);
  if (removed.kind === "failed") return removed;
  return writeStatus({ ...picture, active: [] }, { conditions: [suspendedCondition(true, context)] }, context);
}

function suspendedCondition(isSuspended: boolean, { clock }: ControllerContext): WorkloadCondition {
  const now = timestamp(clock);
  return {
    type: "Suspended",
    status: isSuspended ? "True" : "False",
    reason: isSuspended ? "JobSuspended" : "JobResumed",
    message: isSuspended ? "Job suspended" : "Job resumed",
    lastProbeTime: now,
    lastTransitionTime: now,
  };
}

async function proceed(picture: Picture, context: ControllerContext): Promise<Outcome> {
  const { job, active, succeeded } = picture;
  const { parallelism = 1, completions } = job.spec;
  // Without a number of completions, the first success means that no more are begun.
  const left = completions === undefined ? (succeeded > 0 ? active.length : parallelism) : completions - succeeded;
  const wanted = Math.min(parallelism, left);
  let next: readonly Pod[] = active;
  if (active.length > wanted) {
    const surplus = active.slice(wanted);
    const removed = await removePods(job, surplus, context);
    if (removed.kind === "failed") return removed;
    next = active.slice(0, wanted);
  }
  const waitMs = active.length < wanted ? retryInMs(picture, context) : 0;
  if (waitMs === 0 && active.length < wanted) {
    const made = await createPods(picture, Math.min(wanted - active.length, PODS_PER_SYNC_MAX), context);
    if (!Array.isArray(made)) return made;
    next = [...active, ...made];
  }
  const wasSuspended = job.status?.conditions?.some(({ type, status }) => type === "Suspended" && status === "True");
  const conditions = wasSuspended === true ? [suspendedCondition(false, context)] : [];
  const written = await writeStatus({ ...picture, active: next }, { conditions }, context);
  if (written.kind !== "done") return written;
  const deadlineMs = deadlineInMs(job, context);
  const again = [waitMs, deadlineMs].filter((ms) => ms > 0);
  return again.length === 0 ? DONE : { kind: "again", afterMs: Math.min(...again) };
}

function deadlineInMs(job: Job, { clock }: ControllerContext): number {
  const { activeDeadlineSeconds } = job.spec;
  if (activeDeadlineSeconds === undefined) return 0;
  const startedMs = Date.parse(job.status?.startTime ?? timestamp(clock));
  return Math.max(1, startedMs + activeDeadlineSeconds * 1000 - clock.wallMs());
}

/** After a failure the next pod waits, twice as long each time; a Job of several pods counts them together. */
function retryInMs({ failed: failures }: Picture, { clock }: ControllerContext): number {
  if (failures.length === 0) return 0;
  const delayMs = Math.min(JOB_RETRY_MAX_MS, JOB_RETRY_BASE_MS * 2 ** Math.min(failures.length - 1, 20));
  const endedMs = Math.max(...failures.map(endOf));
  return Math.max(0, endedMs + delayMs - clock.wallMs());
}

function endOf(pod: Pod): number {
  const ends = (pod.status?.containerStatuses ?? []).map(({ state }) =>
    Date.parse(state?.terminated?.finishedAt ?? ""),
  );
  return Math.max(Date.parse(pod.metadata.creationTimestamp ?? ""), ...ends.filter((end) => !Number.isNaN(end)));
}

async function createPods(picture: Picture, count: number, context: ControllerContext): Promise<Pod[] | Outcome> {
  const { job } = picture;
  const made: Pod[] = [];
  const indexes = job.spec.completionMode === "Indexed" ? missingIndexes(picture, count) : undefined;
  for (let number = 0; number < (indexes?.length ?? count); number += 1) {
    const pod = podOf(job, indexes?.[number], context);
    if (pod === undefined) return { kind: "failed", message: "the template has no spec" };
    const created = await context.client.create(podKind, pod);
    if (!created.ok && endsWithNamespace(created.error)) return DONE;
    const message = created.ok ? `Created pod: ${pod.metadata.name}` : `Error creating: ${created.error.message}`;
    const reason = created.ok ? "SuccessfulCreate" : "FailedCreate";
    context.events.record({ about: job, type: created.ok ? "Normal" : "Warning", reason, message });
    if (!created.ok) return { kind: "failed", message };
    made.push(created.value);
  }
  return made;
}

function missingIndexes({ job, active, doneIndexes }: Picture, count: number): readonly number[] {
  const taken = new Set([...doneIndexes, ...active.map(indexOf)]);
  const all = Array.from({ length: job.spec.completions ?? 0 }, (_, index) => index);
  return all.filter((index) => !taken.has(index)).slice(0, count);
}

function podOf(job: Job, index: number | undefined, context: ControllerContext): Pod | undefined {
  const generateName = index === undefined ? `${job.metadata.name}-` : `${job.metadata.name}-${index}-`;
  const named = { name: generatedName(generateName, context.random), generateName };
  if (index === undefined) return podFrom(job, job.spec.template, named);
  const mark = { [INDEX]: String(index) };
  return podFrom(job, job.spec.template, named, {
    labels: mark,
    annotations: mark,
    change: (spec) => withIndex(spec, job, index),
  });
}

function withIndex(spec: PodSpec, job: Job, index: number): PodSpec {
  const variable = { name: "JOB_COMPLETION_INDEX", value: String(index) };
  return {
    ...spec,
    hostname: `${job.metadata.name}-${index}`,
    containers: spec.containers.map((container) => ({ ...container, env: [...(container.env ?? []), variable] })),
  };
}

async function removePods(job: Job, pods: readonly Pod[], context: ControllerContext): Promise<Outcome> {
  for (const pod of pods) {
    const removed = await context.client.remove(podKind, refOf(keyOf(pod)));
    if (!removed.ok && !isRace(removed.error)) return failed(`removing pod ${pod.metadata.name}`, removed.error);
    const message = `Deleted pod: ${pod.metadata.name}`;
    context.events.record({ about: job, type: "Normal", reason: "SuccessfulDelete", message });
  }
  return DONE;
}

async function writeStatus(
  picture: Picture,
  change: { readonly conditions: readonly WorkloadCondition[]; readonly isComplete?: boolean },
  context: ControllerContext,
): Promise<Outcome> {
  const { job, active, ending, succeeded, failed: failures, doneIndexes } = picture;
  const now = timestamp(context.clock);
  const isSuspended = job.spec.suspend === true;
  const kept = (job.status?.conditions ?? []).filter(
    ({ type }) => !change.conditions.some((each) => each.type === type),
  );
  const fresh = change.conditions.map((each) => {
    const before = job.status?.conditions?.find(({ type }) => type === each.type);
    return before?.status === each.status ? before : each;
  });
  const startTime = isSuspended ? undefined : (job.status?.startTime ?? now);
  const indexes = [...doneIndexes].sort((a, b) => a - b);
  const status: JobStatus = {
    ...(active.length === 0 ? {} : { active: active.length }),
    ready: active.filter(isReady).length,
    terminating: ending,
    ...(succeeded === 0 ? {} : { succeeded }),
    ...(failures.length === 0 ? {} : { failed: failures.length }),
    ...(indexes.length === 0 ? {} : { completedIndexes: rangesOf(indexes) }),
    ...(startTime === undefined ? {} : { startTime }),
    ...(change.isComplete === true ? { completionTime: now } : {}),
    uncountedTerminatedPods: {},
    ...(kept.length + fresh.length === 0 ? {} : { conditions: [...kept, ...fresh] }),
  };
  if (deepEqual(status, job.status)) return DONE;
  const { resourceVersion: _version, ...metadata } = job.metadata;
  const written = await context.client.updateStatus(jobKind, { ...job, metadata, status });
  return written.ok || written.error.code === 404 ? DONE : failed("writing the status", written.error);
}

/** `0-2,5` */
function rangesOf(indexes: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const index of indexes) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else ranges.push([index, index]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(",");
}
