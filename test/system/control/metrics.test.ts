// What port 15014 shows, as Prometheus' own tool reads it: a sound exposition, whose names are Istio's.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { startMesh, until } from "../../unit/control/mesh.ts";

const missing = spawnSync("promtool", ["--version"]).error === undefined ? false : "promtool is missing";

const MANIFESTS = `
apiVersion: v1
kind: Namespace
metadata: {name: production}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: frontend, namespace: production}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: production}
spec: {ports: [{name: http, port: 8080}]}
`;

/** Istio's names break these rules of style, and dashboards know them by these names. */
const NAMING = [
  /^\S+ (counter metrics should have "_total" suffix|non-counter metrics should not have "_total" suffix)$/,
  /^\S+ (non-histogram and non-summary metrics should not have "_(count|sum|bucket)" suffix)$/,
  /^\S+ metric name should not include type '\w+'$/,
];

describe("the control plane's metrics", { skip: missing }, () => {
  it("are found sound by promtool, but for Istio's names", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(MANIFESTS);
    const frontend = { pod: "frontend-1", namespace: "production", serviceAccount: "frontend", address: "10.244.0.9" };
    await mesh.connect({ ...frontend, labels: {} });
    const read = async () => (await fetch(`http://127.0.0.1:${mesh.control.debug?.port}/metrics`)).text();
    await until("a proxy has its configuration", async () =>
      /^pilot_proxy_convergence_time_count{} [1-9]/m.test(await read()),
    );
    const text = await read();
    assert.match(text, /^pilot_xds_pushes\{type="cds"\} [1-9]/m);
    const { status, stderr } = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
    const said = stderr.split("\n").filter((line) => line !== "");
    assert.deepEqual(
      said.filter((line) => !NAMING.some((rule) => rule.test(line))),
      [],
    );
    assert.equal(status, said.length === 0 ? 0 : 3);
  });

  it("would be found unsound where they are", () => {
    const broken = "# TYPE a counter\na{x=1} 1\n";
    assert.equal(spawnSync("promtool", ["check", "metrics"], { input: broken }).status, 1);
  });
});
