// Envoy beside its agent: what the post doesn't ask, and a sidecar has to do.

import assert from "node:assert/strict";
import { caller } from "../own.ts";
import { eventually } from "../process.ts";
import type { Row, Walk } from "../row.ts";
import { allOk, ask, send } from "../traffic.ts";

const ECHO = "http://echo.production.svc.cluster.local:8080/api";

export const ENVOY: readonly Row[] = [
  { name: "Istio's metrics on 15020 name both ends of a call, at both of them", run: metrics },
  { name: "Envoy that ends takes its container with it, which starts again", run: crash },
];

async function metrics({ cluster }: Walk): Promise<void> {
  allOk(await send(cluster, await caller(cluster, "frontend"), { url: `${ECHO}/counted`, count: 5 }));
  for (const [app, reporter] of [
    ["frontend", "source"],
    ["echo", "destination"],
  ] as const) {
    const labels = [
      `reporter="${reporter}"`,
      'source_workload="frontend"',
      'source_principal="spiffe://cluster.local/ns/production/sa/frontend"',
      'destination_workload="echo"',
      'destination_service="echo.production.svc.cluster.local"',
      'destination_service_name="echo"',
      'response_code="200"',
    ];
    await eventually(`the requests at ${app}`, 20_000, async () => {
      const page = await cluster.admin("production", await cluster.pod("production", `app=${app}`), "/metrics/agent");
      const lines = page.split("\n").filter((line) => line.startsWith("istio_requests_total{"));
      const counted = lines.find((line) => labels.every((label) => line.includes(label)));
      return Number(counted?.split(" ").at(-1)) >= 5 ? true : lines.join("\n").slice(0, 3000);
    });
  }
}

async function crash({ cluster }: Walk): Promise<void> {
  const pod = await cluster.pod("production", "app=echo");
  // The container's processes are its own: nobody else's Envoy is meant.
  const script = 'cd /proc; for p in [0-9]*; do [ "$(cat $p/comm)" = envoy ] && kill -SEGV $p; done; true';
  const before = await restarts(cluster, pod);
  await cluster.exec({ namespace: "production", pod, container: "istio-proxy" }, ["sh", "-c", script]);
  await eventually("the container started again", 30_000, async () => {
    const now = await restarts(cluster, pod);
    return now === before + 1 ? true : `${now} restarts`;
  });
  const from = await caller(cluster, "frontend");
  await eventually("answers again", 30_000, async () => {
    const answer = await ask(cluster, from, { url: `${ECHO}/again`, keepAlive: false });
    return answer.status === 200 ? true : JSON.stringify(answer);
  });
}

async function restarts(cluster: Walk["cluster"], pod: string): Promise<number> {
  const path = "jsonpath={.status.containerStatuses[?(@.name=='istio-proxy')].restartCount}";
  const count = Number(await cluster.kubectlOk(["get", "pod", pod, "-n", "production", "-o", path]));
  assert.ok(Number.isInteger(count));
  return count;
}
