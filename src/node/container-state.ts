// What is known about one container at one instant, and the Kubernetes status it amounts to.

import type {
  Container,
  ContainerState,
  ContainerStateTerminated,
  ContainerStatus,
} from "../api/kubernetes/container.ts";
import type { ExitStatus } from "./sandbox.ts";

export type RunState =
  | { readonly kind: "waiting"; readonly reason: string; readonly message: string }
  | { readonly kind: "running"; readonly startedAt: string }
  | { readonly kind: "terminated"; readonly terminated: ContainerStateTerminated };

export interface ContainerView {
  readonly state: RunState;
  readonly last: ContainerStateTerminated | undefined;
  readonly restartCount: number;
  /** Its startup probe has passed, or it has none. */
  readonly started: boolean;
  readonly ready: boolean;
  /** It will not run again. */
  readonly finished: boolean;
}

export function statusOf(container: Container, view: ContainerView, podUid: string): ContainerStatus {
  const image = container.image ?? "";
  const everRan = view.state.kind !== "waiting" || view.last !== undefined;
  return {
    name: container.name,
    ready: view.ready,
    started: view.started,
    restartCount: view.restartCount,
    image,
    imageID: everRan ? image : "",
    ...(everRan ? { containerID: `weft://${podUid}/${container.name}/${view.restartCount}` } : {}),
    state: stateOf(view.state),
    ...(view.last === undefined ? {} : { lastState: { terminated: view.last } }),
  };
}

function stateOf(state: RunState): ContainerState {
  switch (state.kind) {
    case "waiting":
      return { waiting: { reason: state.reason, ...(state.message === "" ? {} : { message: state.message }) } };
    case "running":
      return { running: { startedAt: state.startedAt } };
    case "terminated":
      return { terminated: state.terminated };
  }
}

const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

export function terminatedBy(
  status: ExitStatus,
  times: { readonly startedAt: string; readonly finishedAt: string },
): ContainerStateTerminated {
  switch (status.kind) {
    case "failed":
      return { exitCode: 128, reason: "StartError", message: status.message, ...times };
    case "exited":
      return { exitCode: status.code, reason: status.code === 0 ? "Completed" : "Error", ...times };
    case "signaled": {
      const exitCode = 128 + (SIGNALS[status.signal] ?? 0);
      return { exitCode, reason: status.outOfMemory ? "OOMKilled" : "Error", ...times };
    }
  }
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export function timestamp(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}
