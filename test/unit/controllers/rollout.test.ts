// The arithmetic of a rollout: how many pods of which version come next.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment, DeploymentSpec } from "../../../src/api/kubernetes/deployment.ts";
import { boundsOf, planRollout, type Version } from "../../../src/controllers/rollout.ts";

function version(name: string, replicas: number, available: number = replicas): Version {
  return { name, replicas, readyReplicas: available, availableReplicas: available, existingPods: replicas };
}

function deployment(
  replicas: number,
  rollingUpdate: NonNullable<DeploymentSpec["strategy"]>["rollingUpdate"],
): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "api" },
    spec: {
      replicas,
      selector: {},
      template: {},
      strategy: { type: "RollingUpdate", ...(rollingUpdate === undefined ? {} : { rollingUpdate }) },
    },
  };
}

const plan = (input: Omit<Parameters<typeof planRollout>[0], "strategy">) =>
  Object.fromEntries(planRollout({ strategy: "RollingUpdate", ...input }));

test("bounds: surge rounds up, unavailable rounds down, and never both are zero", () => {
  assert.deepEqual(boundsOf(deployment(3, undefined)), { maxSurge: 1, maxUnavailable: 0 });
  assert.deepEqual(boundsOf(deployment(10, { maxSurge: "25%", maxUnavailable: "25%" })), {
    maxSurge: 3,
    maxUnavailable: 2,
  });
  assert.deepEqual(boundsOf(deployment(4, { maxSurge: 0, maxUnavailable: "10%" })), { maxSurge: 0, maxUnavailable: 1 });
});

test("a rolling update never exceeds the surge nor falls below what must be available", () => {
  const bounds = { maxSurge: 1, maxUnavailable: 0 };
  assert.deepEqual(plan({ replicas: 2, bounds, current: version("new", 0), old: [version("old", 2)] }), { new: 1 });
  assert.deepEqual(plan({ replicas: 2, bounds, current: version("new", 1, 0), old: [version("old", 2)] }), {});
  assert.deepEqual(plan({ replicas: 2, bounds, current: version("new", 1), old: [version("old", 2)] }), { old: 1 });
  assert.deepEqual(plan({ replicas: 2, bounds, current: version("new", 2), old: [version("old", 1)] }), { old: 0 });
});

test("old pods that serve nobody go first", () => {
  const bounds = { maxSurge: 0, maxUnavailable: 1 };
  const old = [version("a", 2, 2), version("b", 2, 1)];
  assert.deepEqual(plan({ replicas: 4, bounds, current: version("new", 0), old }), { b: 1 });
});

test("scaling down takes from the current version; recreate waits until the old pods are gone", () => {
  const bounds = { maxSurge: 1, maxUnavailable: 0 };
  assert.deepEqual(plan({ replicas: 1, bounds, current: version("new", 3), old: [] }), { new: 1 });
  const recreate = (old: Version) =>
    Object.fromEntries(
      planRollout({ strategy: "Recreate", replicas: 2, bounds, current: version("new", 0), old: [old] }),
    );
  assert.deepEqual(recreate(version("old", 2)), { old: 0 });
  assert.deepEqual(recreate({ ...version("old", 0), existingPods: 1 }), {});
  assert.deepEqual(recreate(version("old", 0)), { new: 2 });
});
