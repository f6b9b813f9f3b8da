// A pod in one line, word for word as Kubernetes puts it.

import type { ContainerState, ContainerStatus } from "./container.ts";
import type { Pod } from "./pod.ts";

export interface PodLine {
  readonly ready: string;
  readonly status: string;
  readonly restarts: string;
}

interface Progress {
  readonly reason: string;
  readonly initializing: boolean;
  readonly readySidecars: number;
  readonly tally: Tally;
  readonly sidecarTally: Tally;
}

/** How often containers were restarted, and when the last one of them ended. */
interface Tally {
  readonly count: number;
  readonly lastAt: string;
}

const NOTHING: Tally = { count: 0, lastAt: "" };

export function describePod(pod: Pod): PodLine {
  const sidecars = sidecarNames(pod);
  const init = describeInit(pod, sidecars);
  const initialized = pod.status?.conditions?.some(
    (condition) => condition.type === "Initialized" && condition.status === "True",
  );
  let { reason, tally } = init;
  let ready = init.readySidecars;
  if (!init.initializing || initialized === true) {
    const main = describeContainers(pod, reason);
    reason = main.reason;
    ready += main.ready;
    tally = merge(init.sidecarTally, main.tally);
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    if (pod.status?.reason === "NodeLost") reason = "Unknown";
    else if (pod.status?.phase !== "Succeeded" && pod.status?.phase !== "Failed") reason = "Terminating";
  }
  const ago = tally.count > 0 && tally.lastAt !== "" ? ` (<${tally.lastAt}> ago)` : "";
  return {
    ready: `${ready}/${pod.spec.containers.length + sidecars.size}`,
    status: reason,
    restarts: `${tally.count}${ago}`,
  };
}

function sidecarNames(pod: Pod): ReadonlySet<string> {
  const sidecars = (pod.spec.initContainers ?? []).filter((container) => container.restartPolicy === "Always");
  return new Set(sidecars.map((container) => container.name));
}

function phaseOf(pod: Pod): string {
  const gated = pod.status?.conditions?.some(
    (condition) => condition.type === "PodScheduled" && condition.reason === "SchedulingGated",
  );
  if (gated === true) return "SchedulingGated";
  const reason = pod.status?.reason ?? "";
  return reason === "" ? (pod.status?.phase ?? "Unknown") : reason;
}

function describeInit(pod: Pod, sidecars: ReadonlySet<string>): Progress {
  let tally = NOTHING;
  let sidecarTally = NOTHING;
  let readySidecars = 0;
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    tally = merge(tally, tallyOf(status));
    const isSidecar = sidecars.has(status.name);
    if (isSidecar) sidecarTally = merge(sidecarTally, tallyOf(status));
    if (status.state?.terminated?.exitCode === 0) continue;
    if (isSidecar && status.started === true) {
      if (status.ready) readySidecars += 1;
      continue;
    }
    const reason = `Init:${initReason(status.state, `${index}/${pod.spec.initContainers?.length ?? 0}`)}`;
    return { reason, initializing: true, readySidecars, tally, sidecarTally };
  }
  return { reason: phaseOf(pod), initializing: false, readySidecars, tally, sidecarTally };
}

function initReason(state: ContainerState | undefined, progress: string): string {
  if (state?.terminated !== undefined) return terminatedReason(state.terminated);
  const waiting = state?.waiting?.reason ?? "";
  return waiting !== "" && waiting !== "PodInitializing" ? waiting : progress;
}

function terminatedReason(terminated: NonNullable<ContainerState["terminated"]>): string {
  if (terminated.reason !== undefined && terminated.reason !== "") return terminated.reason;
  return (terminated.signal ?? 0) === 0 ? `ExitCode:${terminated.exitCode}` : `Signal:${terminated.signal}`;
}

function describeContainers(pod: Pod, before: string): { reason: string; ready: number; tally: Tally } {
  let reason = before;
  let ready = 0;
  let hasRunning = false;
  let tally = NOTHING;
  for (const status of (pod.status?.containerStatuses ?? []).toReversed()) {
    tally = merge(tally, tallyOf(status));
    const waiting = status.state?.waiting?.reason ?? "";
    if (waiting !== "") reason = waiting;
    else if (status.state?.terminated !== undefined) reason = terminatedReason(status.state.terminated);
    else if (status.ready && status.state?.running !== undefined) {
      hasRunning = true;
      ready += 1;
    }
  }
  if (reason === "Completed" && hasRunning) {
    const isReady = pod.status?.conditions?.some(
      (condition) => condition.type === "Ready" && condition.status === "True",
    );
    reason = isReady === true ? "Running" : "NotReady";
  }
  return { reason, ready, tally };
}

function tallyOf(status: ContainerStatus): Tally {
  return { count: status.restartCount, lastAt: status.lastState?.terminated?.finishedAt ?? "" };
}

function merge(left: Tally, right: Tally): Tally {
  return { count: left.count + right.count, lastAt: left.lastAt > right.lastAt ? left.lastAt : right.lastAt };
}
