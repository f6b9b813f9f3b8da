// Which access logs hold for a workload, by MeshConfig and by Telemetry of mesh, namespace and workload.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessLogsOf } from "../../../src/model/access-log.ts";
import { telemetriesOf } from "../../../src/model/telemetry.ts";
import { snapshotOf } from "../translate/mesh.ts";

function mesh(settings: string): string {
  const text = settings
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n");
  return `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n${text}\n`;
}

function telemetry(name: string, namespace: string, spec: string): string {
  return `---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;
}

function logs(manifests: string, mode: "CLIENT" | "SERVER" = "SERVER") {
  const snapshot = snapshotOf(manifests);
  const subject = { namespace: "production", labels: { app: "api" } };
  const rules = accessLogsOf(telemetriesOf(snapshot.telemetry, subject, snapshot.mesh), mode, snapshot);
  return { rules, findings: snapshot.findings, issues: snapshot.meshSource.issues };
}

const FILE = mesh("accessLogFile: /dev/stdout");
const EVERYTHING = { path: "/dev/stdout", format: undefined, filter: undefined };

test("nothing is logged unless something says so", () => {
  assert.deepEqual(logs(mesh("enableAutoMtls: true")).rules, []);
  assert.deepEqual(logs(FILE).rules, [EVERYTHING]);
});

test("Telemetry turns logs on and off, and the nearer one holds", () => {
  const on = telemetry("mesh", "istio-system", "{accessLogging: [{providers: [{name: envoy}]}]}");
  assert.deepEqual(logs(mesh("{}") + on).rules, [EVERYTHING]);
  const off = telemetry("off", "production", "{accessLogging: [{disabled: true}]}");
  assert.deepEqual(logs(mesh("{}") + on + off).rules, []);
  assert.deepEqual(logs(FILE + off).rules, []);
  const filter = "{selector: {matchLabels: {app: api}}, accessLogging: [{filter: {expression: response.code >= 500}}]}";
  const errors = telemetry("errors", "production", filter);
  assert.deepEqual(logs(FILE + off + errors).rules, [{ ...EVERYTHING, filter: "response.code >= 500" }]);
});

test("a mode is for one side only", () => {
  const client = telemetry("c", "production", "{accessLogging: [{match: {mode: CLIENT}, disabled: true}]}");
  assert.deepEqual(logs(FILE + client, "CLIENT").rules, []);
  assert.deepEqual(logs(FILE + client, "SERVER").rules, [EVERYTHING]);
});

test("providers have paths and formats of their own", () => {
  const settings = mesh(`defaultProviders: {accessLogging: [json]}
extensionProviders:
- name: json
  envoyFileAccessLog: {path: /tmp/log, logFormat: {labels: {code: "%RESPONSE_CODE%"}}}
- name: text
  envoyFileAccessLog: {logFormat: {text: "%RESPONSE_CODE%"}}`);
  const json = { path: "/tmp/log", format: { kind: "json", labels: { code: "%RESPONSE_CODE%" } }, filter: undefined };
  assert.deepEqual(logs(settings).rules, [json]);
  const text = telemetry("t", "production", "{accessLogging: [{providers: [{name: text}]}]}");
  assert.deepEqual(logs(settings + text).rules, [
    { ...EVERYTHING, format: { kind: "text", text: "%RESPONSE_CODE%\n" } },
  ]);
});

test("JSON as the encoding has Istio's fields", () => {
  const [rule] = logs(mesh("accessLogFile: /dev/stdout\naccessLogEncoding: JSON")).rules;
  assert.ok(rule?.format?.kind === "json");
  assert.equal(rule.format.labels["response_code"], "%RESPONSE_CODE%");
});

test("what can't be followed is said, and no proxy is given it", () => {
  const wrong = "{accessLogging: [{providers: [{name: envoy}, {name: none}], filter: {expression: response.kode}}]}";
  const { rules, findings } = logs(mesh("{}") + telemetry("w", "production", wrong));
  assert.deepEqual(rules, []);
  assert.deepEqual(
    findings.map(({ type, path }) => [type, path]),
    [
      ["reference", "spec.accessLogging[0].providers[1].name"],
      ["ignored", "spec.accessLogging[0].filter.expression"],
    ],
  );
  const odd = logs(mesh('accessLogFile: /dev/stdout\naccessLogFormat: "%NO_SUCH%"'));
  assert.deepEqual(odd.rules, [EVERYTHING]);
  assert.deepEqual(
    odd.issues.map(({ path }) => path),
    ["accessLogFormat"],
  );
});

test("collectors are asked for over gRPC; one whose service is not there is said", () => {
  const settings = mesh(`extensionProviders:
- name: otel
  envoyOtelAls: {service: logs.observe.svc.cluster.local, port: 4317}
- name: lost
  envoyHttpAls: {service: nobody.observe.svc.cluster.local, port: 9000}`);
  const service =
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: logs, namespace: observe}\nspec: {ports: [{port: 4317}]}\n";
  const use = telemetry("logs", "istio-system", "{accessLogging: [{providers: [{name: otel}, {name: lost}]}]}");
  const { rules, findings } = logs(settings + service + use);
  assert.deepEqual(
    rules.map(({ path, collector }) => [path, collector?.kind, collector?.target.host, collector?.logName]),
    [["", "otlp", "logs.observe.svc.cluster.local", "otel_envoy_accesslog"]],
  );
  assert.deepEqual(
    findings.map(({ path, message }) => `${path}: ${message}`),
    [
      "spec.accessLogging[0].providers[1].name: the provider lost has the service nobody.observe.svc.cluster.local, which does not exist: nothing is logged by it",
    ],
  );
});
