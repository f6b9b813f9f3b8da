// `weft authz` on manifests: what it prints, and what its exit code says.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isRecord, parseJson } from "../../../src/base/json.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");

const MANIFESTS = `
apiVersion: v1
kind: Namespace
metadata: {name: production, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: production}
spec:
  replicas: 1
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {serviceAccountName: api, containers: [{name: api, image: api, ports: [{name: web, containerPort: 9000}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: production}
spec: {selector: {app: api}, ports: [{name: http, port: 8080, targetPort: web}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: api-policy, namespace: production}
spec:
  selector: {matchLabels: {app: api}}
  rules:
  - from: [{source: {principals: ["cluster.local/ns/production/sa/frontend"]}}]
    to: [{operation: {methods: ["GET"], paths: ["/api/*"], ports: ["9000"]}}]
  - when: [{key: "request.auth.claims[groups]", values: [admin]}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: production}
spec: {mtls: {mode: STRICT}}
`;

function authz(...args: readonly string[]) {
  const options = { encoding: "utf8", input: MANIFESTS, cwd: ROOT } as const;
  const done = spawnSync(process.execPath, ["bin/weft.js", "authz", ...args, "-f", "-"], options);
  return { code: done.status, out: done.stdout, err: done.stderr };
}

const TO = ["explain", "--to", "api.production:8080"];
const FRONTEND = ["--from", "production/frontend"];

describe("weft authz", () => {
  it("says yes with 0, naming the rule", () => {
    const { code, out } = authz(...TO, ...FRONTEND, "--path", "/api/items");
    assert.equal(code, 0);
    assert.match(out, /^allowed {2}Deployment production\/api$/m);
    assert.match(out, /api-policy spec\.rules\[0\] \(ALLOW\) matches/);
    assert.match(out, /mTLS on port 9000 \(STRICT by PeerAuthentication production\/default\)/);
  });

  it("says no with 1, naming the field that fails", () => {
    const { code, out } = authz(...TO, ...FRONTEND, "--path", "/admin");
    assert.equal(code, 1);
    assert.match(out, /^denied/);
    assert.match(out, /spec\.rules\[0\]\.to\[0\]\.operation\.paths {2}was \/admin, the rule wants \/api\/\*/);
    assert.match(out, /spec\.rules\[1\]\.when\[0\]\.values {2}was none, the rule wants admin/);
  });

  it("looks at the claims of a token, and knows that STRICT closes plaintext connections", () => {
    const claims = JSON.stringify({ iss: "https://i", groups: ["admin"] });
    assert.equal(authz(...TO, ...FRONTEND, "--path", "/admin", "--jwt", claims).code, 0);
    const token = `e30.${Buffer.from(claims).toString("base64url")}.c2ln`;
    assert.equal(authz(...TO, ...FRONTEND, "--path", "/admin", "--jwt", token).code, 0);
    const outside = authz(...TO, "--jwt", claims);
    assert.equal(outside.code, 1);
    assert.match(outside.out, /no mesh certificate, and PeerAuthentication production\/default is STRICT on port 9000/);
  });

  it("prints JSON for programs", () => {
    const { out } = authz(...TO, ...FRONTEND, "-o", "json");
    const parsed = parseJson(out);
    assert.ok(parsed.ok && isRecord(parsed.value) && Array.isArray(parsed.value["answers"]));
    assert.equal(parsed.value["answers"].length, 1);
  });

  it("lists what selects a workload", () => {
    const { code, out } = authz("check", "api.production");
    assert.equal(code, 0);
    assert.match(out, /other ports: STRICT {2}\(PeerAuthentication production\/default\)/);
    assert.match(out, /ALLOW {2}AuthorizationPolicy production\/api-policy/);
  });

  it("names what is wrong with the question, and the next step", () => {
    const port = authz("explain", "--to", "api.production:81");
    assert.equal(port.code, 1);
    assert.match(port.err, /has no port 81\n.*It has: 8080/);
    assert.equal(authz(...TO, "--from", "frontend").code, 2);
    assert.equal(authz("explain", "--to", "api").code, 2);
    assert.equal(authz(...TO, "--header", "nonsense").code, 2);
    assert.equal(authz(...TO, "--jwt", "nonsense").code, 2);
    assert.equal(authz("check", "nobody.production").code, 1);
  });
});
