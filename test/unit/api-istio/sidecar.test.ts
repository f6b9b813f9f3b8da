// Rules of Sidecar: each mistake is named by its place.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sidecarKind } from "../../../src/api/istio/sidecar.ts";
import { eraseKind } from "../../../src/api/kind.ts";
import { judge } from "./structure.ts";

const kind = eraseKind(sidecarKind);

function issues(spec: object): string[] {
  const verdict = judge(kind, { apiVersion: "x/v1", kind: "Sidecar", metadata: { name: "n" }, spec });
  return [
    ...verdict.structural,
    ...verdict.issues.map(({ severity, path }) => (severity === "error" ? path : `warning ${path}`)),
  ];
}

const port = { number: 8080, protocol: "HTTP", name: "http" };
const files = { serverCertificate: "/a.pem", privateKey: "/b.pem" };

test("ingress", () => {
  const at = "spec.ingress[0]";
  const one = (more: object): object => ({ ingress: [{ port, ...more }] });
  const cases: readonly (readonly [object, readonly string[]])[] = [
    [one({}), []],
    ...["127.0.0.1:1", "0.0.0.0:80", "[::1]:80", "[::]:65535", "unix:///a/b", "unix://@a"].map(
      (defaultEndpoint) => [one({ defaultEndpoint }), []] as const,
    ),
    ...["127.0.0.2:80", "127.0.0.1", "localhost:80", "127.0.0.1:0", "127.0.0.1:65536", "unix://a", "::1:80"].map(
      (defaultEndpoint) => [one({ defaultEndpoint }), [`${at}.defaultEndpoint`]] as const,
    ),
    [one({ bind: "10.0.0.1", captureMode: "NONE" }), []],
    [one({ bind: "10.0.0.1" }), [`warning ${at}.bind`]],
    [one({ bind: "localhost", captureMode: "NONE" }), [`${at}.bind`]],
    [{ ingress: [{ port: { number: 0 } }] }, [`${at}.port.number`]],
    [{ ingress: [{ port: { ...port, protocol: "SOAP" } }] }, [`${at}.port.protocol`]],
    [{ ingress: [{ port }, { port }] }, ["spec.ingress[1].port.number"]],
    [one({ tls: { mode: "SIMPLE", ...files } }), []],
    [one({ tls: { mode: "MUTUAL", ...files } }), [`${at}.tls.caCertificates`]],
    [one({ tls: { mode: "ISTIO_MUTUAL", ...files } }), [`${at}.tls.mode`]],
    [one({ tls: { mode: "SIMPLE", ...files, credentialName: "a" } }), [`${at}.tls.credentialName`]],
    [one({ tls: { mode: "SIMPLE", ...files, httpsRedirect: true } }), [`${at}.tls.httpsRedirect`]],
  ];
  for (const [spec, expected] of cases) assert.deepEqual(issues(spec), expected, JSON.stringify(spec));
});

test("egress", () => {
  const hosts = ["./*"];
  const at = "spec.egress[0]";
  const cases: readonly (readonly [object, readonly string[]])[] = [
    [{ egress: [{ hosts }] }, []],
    [{ egress: [{ hosts: ["*/*", "~/*", "a/b.example.com", "./*.example.com"] }] }, []],
    [{ egress: [{ hosts: [] }] }, [`${at}.hosts`]],
    [{ egress: [{ hosts: ["a/b/c"] }] }, [`${at}.hosts[0]`]],
    [{ egress: [{ hosts: ["A_/b"] }] }, [`${at}.hosts[0]`]],
    [{ egress: [{ port, hosts }, { hosts }] }, []],
    [{ egress: [{ hosts }, { port, hosts }] }, [at]],
    [{ egress: [{ port, hosts }, { port, hosts }, { hosts }] }, ["spec.egress[1].port.number"]],
    [
      {
        egress: [
          { port, hosts },
          { port, bind: "10.0.0.1", hosts },
        ],
      },
      [],
    ],
    [{ egress: [{ bind: "10.0.0.1", hosts }] }, [`${at}.port`]],
    [{ egress: [{ port, bind: "a", hosts }] }, [`${at}.bind`]],
    [{ egress: [{ port: { number: 0, protocol: "HTTP" }, bind: "unix:///a", hosts }] }, []],
    [{ egress: [{ port, bind: "unix:///a", hosts }] }, [`${at}.port.number`]],
    [{ egress: [{ port: { number: 0 }, bind: "unix:///a", captureMode: "IPTABLES", hosts }] }, [`${at}.captureMode`]],
  ];
  for (const [spec, expected] of cases) assert.deepEqual(issues(spec), expected, JSON.stringify(spec));
});

test("the egress proxy", () => {
  const egressProxy = { host: "egress.edge.svc.cluster.local", port: { number: 80 } };
  const at = "spec.outboundTrafficPolicy.egressProxy";
  assert.deepEqual(issues({ outboundTrafficPolicy: { mode: "ALLOW_ANY", egressProxy } }), []);
  assert.deepEqual(issues({ outboundTrafficPolicy: { mode: "REGISTRY_ONLY", egressProxy } }), [at]);
  const wrong = { host: "*", port: { number: 0 } };
  assert.deepEqual(issues({ outboundTrafficPolicy: { egressProxy: wrong } }), [`${at}.host`, `${at}.port.number`]);
});
