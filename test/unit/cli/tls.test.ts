// `weft tls check` on manifests: what clients send, what is taken, and what does not go together.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isRecord } from "../../../src/base/json.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");

const deployment = (name: string, namespace: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec: {serviceAccountName: ${name}, containers: [{name: app, image: app, ports: [{name: web, containerPort: 9000}]}]}`;

const MESH = [
  "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}",
  "apiVersion: v1\nkind: Namespace\nmetadata: {name: outside, labels: {istio-injection: disabled}}",
  deployment("api", "shop"),
  deployment("web", "shop"),
  deployment("cron", "outside"),
  `apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {selector: {app: api}, ports: [{name: http, port: 80, targetPort: web}]}`,
];

const peers = (mode: string): string => `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: ${mode}}}`;

const rule = (mode: string): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: shop}
spec: {host: api, trafficPolicy: {tls: {mode: ${mode}}}}`;

function check(target: string, ...more: readonly string[]) {
  const input = [...MESH, ...more].join("\n---\n");
  const argv = ["bin/weft.js", "tls", "check", target, "-f", "-", "-o", "json"];
  const done = spawnSync(process.execPath, argv, { encoding: "utf8", input, cwd: ROOT });
  assert.equal(done.stderr, "");
  const { pairs }: { pairs: unknown[] } = JSON.parse(done.stdout);
  const lines = pairs.filter(isRecord).map(({ clients, sends, accepts, targetPort, conflict }) => {
    const names = Array.isArray(clients) ? clients.map((each) => String(each).replace(/^.*\//, "")) : [];
    return `${names.join(",")} ${sends} ${accepts} ${targetPort}${conflict === "" ? "" : " conflict"}`;
  });
  return { code: done.status, lines };
}

describe("weft tls check", () => {
  it("goes together where nothing is said", () => {
    assert.deepEqual(check("api.shop"), {
      code: 0,
      lines: ["api,web mTLS PERMISSIVE 9000", "cron plaintext PERMISSIVE 9000"],
    });
  });

  it("finds who is outside of a STRICT mesh", () => {
    assert.deepEqual(check("api", peers("STRICT")), {
      code: 1,
      lines: ["api,web mTLS STRICT 9000", "cron plaintext STRICT 9000 conflict"],
    });
  });

  it("finds a rule that sends what is refused", () => {
    const { code, lines } = check("pod/api", peers("STRICT"), rule("DISABLE"));
    assert.equal(code, 1);
    assert.deepEqual(lines, ["api,web plaintext STRICT 9000 conflict", "cron plaintext STRICT 9000 conflict"]);
  });

  it("finds the mesh's TLS where nobody ends it, and speaks plaintext there by itself", () => {
    assert.deepEqual(
      check("api", peers("DISABLE"), rule("ISTIO_MUTUAL")).lines[0],
      "api,web mTLS DISABLE 9000 conflict",
    );
    assert.deepEqual(check("api", peers("DISABLE")).lines, [
      "api,web plaintext DISABLE 9000",
      "cron plaintext DISABLE 9000",
    ]);
  });
});
