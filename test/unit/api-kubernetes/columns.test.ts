import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAge } from "../../../src/api/age.ts";
import type { ContainerStatus } from "../../../src/api/kubernetes/container.ts";
import type { Pod, PodStatus } from "../../../src/api/kubernetes/pod.ts";
import { describePod } from "../../../src/api/kubernetes/pod-print.ts";
import type { Service } from "../../../src/api/kubernetes/service.ts";
import { serviceKind } from "../../../src/api/kubernetes/service.ts";

function container(name: string, extra: Partial<ContainerStatus> = {}): ContainerStatus {
  return { name, ready: false, restartCount: 0, image: "i", imageID: "", ...extra };
}

const running = { ready: true, state: { running: {} } };

function line(status: PodStatus, metadata: Partial<Pod["metadata"]> = {}, sidecar = false): string {
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "a", ...metadata },
    spec: {
      containers: [{ name: "a" }, { name: "b" }],
      initContainers: [sidecar ? { name: "i", restartPolicy: "Always" } : { name: "i" }],
    },
    status,
  };
  const { ready, status: word, restarts } = describePod(pod);
  return `${ready} ${word} ${restarts}`;
}

test("a pod's line is kubectl's", () => {
  const crash = { terminated: { exitCode: 1, reason: "Error", finishedAt: "2026-01-01T00:00:00Z" } };
  const cases: [string, string][] = [
    [line({ phase: "Pending" }), "0/2 Pending 0"],
    [
      line({ phase: "Running", containerStatuses: [container("a", running), container("b", running)] }),
      "2/2 Running 0",
    ],
    [
      line({
        phase: "Pending",
        containerStatuses: [container("a", { state: { waiting: { reason: "ImagePullBackOff" } } })],
      }),
      "0/2 ImagePullBackOff 0",
    ],
    [
      line({
        phase: "Running",
        containerStatuses: [
          container("a", { restartCount: 3, state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: crash }),
          container("b", running),
        ],
      }),
      "1/2 CrashLoopBackOff 3 (<2026-01-01T00:00:00Z> ago)",
    ],
    [line({ phase: "Running" }, { deletionTimestamp: "2026-01-01T00:00:00Z" }), "0/2 Terminating 0"],
    [line({ phase: "Failed", reason: "Evicted" }), "0/2 Evicted 0"],
    [line({ phase: "Pending", initContainerStatuses: [container("i", { state: { running: {} } })] }), "0/2 Init:0/1 0"],
    [line({ phase: "Pending", initContainerStatuses: [container("i", { state: crash })] }), "0/2 Init:Error 0"],
    [
      line({
        phase: "Succeeded",
        containerStatuses: [container("a", { state: { terminated: { exitCode: 0, reason: "Completed" } } })],
      }),
      "0/2 Completed 0",
    ],
    [
      line({ phase: "Failed", containerStatuses: [container("a", { state: { terminated: { exitCode: 9 } } })] }),
      "0/2 ExitCode:9 0",
    ],
    [
      line(
        {
          phase: "Running",
          initContainerStatuses: [container("i", { ...running, started: true })],
          containerStatuses: [container("a", running), container("b", running)],
        },
        {},
        true,
      ),
      "3/3 Running 0",
    ],
  ];
  for (const [actual, wanted] of cases) assert.equal(actual, wanted);
});

test("a service's line is kubectl's", () => {
  const cells = (spec: Service["spec"]): string => {
    const service: Service = { apiVersion: "v1", kind: "Service", metadata: { name: "a" }, spec };
    return serviceKind.columns
      .slice(1, 5)
      .map((column) => column.value(service))
      .join(" ");
  };
  assert.equal(cells({ clusterIP: "10.96.0.9", ports: [{ port: 80 }] }), "ClusterIP 10.96.0.9 <none> 80/TCP");
  assert.equal(cells({ clusterIP: "None", ports: [{ port: 53, protocol: "UDP" }] }), "ClusterIP None <none> 53/UDP");
  assert.equal(
    cells({ type: "NodePort", clusterIP: "1.1.1.1", ports: [{ port: 80, nodePort: 30080 }] }),
    "NodePort 1.1.1.1 <none> 80:30080/TCP",
  );
  assert.equal(
    cells({ type: "LoadBalancer", clusterIP: "1.1.1.1", ports: [{ port: 80 }] }),
    "LoadBalancer 1.1.1.1 <pending> 80/TCP",
  );
  assert.equal(cells({ type: "ExternalName", externalName: "x.y" }), "ExternalName <none> x.y <none>");
});

test("ages are kubectl's", () => {
  const second = 1000;
  const minute = 60 * second;
  const hour = 60 * minute;
  const day = 24 * hour;
  const cases: [number, string][] = [
    [0, "0s"],
    [119 * second, "119s"],
    [120 * second, "2m"],
    [125 * second, "2m5s"],
    [10 * minute + 5 * second, "10m"],
    [179 * minute, "179m"],
    [3 * hour, "3h"],
    [3 * hour + 4 * minute, "3h4m"],
    [47 * hour, "47h"],
    [2 * day, "2d"],
    [2 * day + 3 * hour, "2d3h"],
    [9 * day, "9d"],
    [800 * day, "2y70d"],
    [-5 * second, "<invalid>"],
  ];
  for (const [ms, wanted] of cases) assert.equal(formatAge(ms), wanted);
});
