// `weft authz diff` on manifests and an access log.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const directory = mkdtempSync(join(tmpdir(), "weft-diff-"));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const pod = (name: string, ip: string): string => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}-0, namespace: shop, labels: {app: ${name}, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: ${name}, containers: [{name: istio-proxy, image: x}]}
status: {podIP: ${ip}, phase: Running}`;

const policy = (rules: string): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: api, namespace: shop}
spec: {selector: {matchLabels: {app: api}}, rules: ${rules}}`;

const base = file(
  "base.yaml",
  [
    pod("api", "10.0.0.1"),
    pod("web", "10.0.0.2"),
    pod("jobs", "10.0.0.3"),
    policy('[{to: [{operation: {methods: [GET]}}]}, {when: [{key: "request.headers[x-key]", values: ["*"]}]}]'),
  ].join("\n---"),
);

const line = (from: string, method: string, path: string, details = "via_upstream"): string =>
  JSON.stringify({
    method,
    path,
    authority: "api",
    response_code_details: details,
    downstream_local_address: "10.0.0.1:8080",
    downstream_remote_address: `${from}:41234`,
  });

const log = file(
  "access.json",
  [
    line("10.0.0.2", "GET", "/items?x=1"),
    line("10.0.0.2", "GET", "/items?x=2"),
    line("10.0.0.3", "GET", "/items"),
    line("10.0.0.3", "POST", "/items", "rbac_access_denied_matched_policy[none]"),
    line("10.0.0.3", "PUT", "/items"),
    "no JSON at all",
    line("10.0.0.2", "GET", "/elsewhere").replace("10.0.0.1:8080", "10.9.9.9:80"),
  ].join("\n"),
);

function diff(rules: string) {
  const fresh = file("new.yaml", policy(rules));
  const argv = ["bin/weft.js", "authz", "diff", "-f", fresh, "--base", base, "--log", log, "-o", "json"];
  const done = spawnSync(process.execPath, argv, { encoding: "utf8", cwd: ROOT });
  assert.equal(done.stderr, "");
  return { code: done.status, found: JSON.parse(done.stdout) };
}

describe("weft authz diff", () => {
  it("tells which requests would be refused, and which let in, each with the reason", () => {
    const { code, found } = diff('[{from: [{source: {principals: ["cluster.local/ns/shop/sa/jobs"]}}]}]');
    assert.equal(code, 1);
    const told = found.changes.map(
      ({ from, method, path, before, after: then, times }: Record<string, unknown>) =>
        `${from} ${method} ${path} ${before} ${then} ${times}`,
    );
    assert.deepEqual(told, [
      "cluster.local/ns/shop/sa/web GET /items allowed denied 2",
      "cluster.local/ns/shop/sa/jobs POST /items denied allowed 1",
    ]);
    assert.match(found.changes[0].reason, /principals was cluster.local\/ns\/shop\/sa\/web, the rule wants/);
    // The PUT was let in by a header that the log does not have.
    assert.deepEqual([found.same, found.unsure, found.lost], [1, 1, 0]);
  });

  it("ends with 0 where no answer would change", () => {
    const { code, found } = diff("[{to: [{operation: {methods: [GET, HEAD]}}]}]");
    assert.equal(code, 0);
    assert.deepEqual(found.changes, []);
  });
});
