// Secrets for the TLS of clients: who is told which.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Translator } from "../../../src/translate/translate.ts";
import { certify } from "../pki.ts";
import { gatewayProxy, proxyOf, snapshotOf } from "./mesh.ts";

const { pem, keyPem } = await certify({ subject: "CN=client" });
const base64 = (text: string): string => Buffer.from(text).toString("base64");

const secret = (namespace: string): string => `
apiVersion: v1
kind: Secret
metadata: {name: partner, namespace: ${namespace}}
type: Opaque
data: {tls.crt: ${base64(pem)}, tls.key: ${base64(keyPem)}, ca.crt: ${base64(pem)}}`;

const mesh = (mode: string, selector: string): string =>
  [
    secret("production"),
    secret("edge"),
    `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: production}
spec: {hosts: [outside.example.com], ports: [{number: 443, name: http, protocol: HTTP}], resolution: DNS}`,
    `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: outside, namespace: production}
spec:
  host: outside.example.com
  ${selector}
  trafficPolicy: {tls: {mode: ${mode}, credentialName: partner}}`,
    `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [www.example.com]}]`,
    `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: production}
spec:
  hosts: [www.example.com]
  gateways: [edge/web]
  http: [{route: [{destination: {host: outside.example.com}}]}]`,
  ].join("\n---\n");

const CHOSEN = "workloadSelector: {matchLabels: {app: frontend}}";

function told(manifests: string, proxy = proxyOf()): string[] {
  return new Translator(snapshotOf(manifests))
    .translate(proxy)
    .secrets.map(({ name, type }) => `${name} ${type?.$case}`);
}

const BOTH = ["kubernetes://partner tlsCertificate", "kubernetes://partner-cacert validationContext"];

describe("credentials of clients", () => {
  it("go to sidecars that the rule chooses", () => {
    assert.deepEqual(told(mesh("MUTUAL", CHOSEN)), BOTH);
    assert.deepEqual(told(mesh("SIMPLE", CHOSEN)), BOTH.slice(1));
  });

  it("go to no other sidecar", () => {
    assert.deepEqual(told(mesh("MUTUAL", CHOSEN), proxyOf({ labels: { app: "other" } })), []);
    assert.deepEqual(told(mesh("MUTUAL", "")), []);
  });

  it("go to gateways, from their own namespace", () => {
    assert.deepEqual(told(mesh("MUTUAL", ""), gatewayProxy), BOTH);
    assert.deepEqual(
      told(mesh("MUTUAL", "").replace("namespace: edge}\ntype", "namespace: b}\ntype"), gatewayProxy),
      [],
    );
  });

  it("go to nobody who hasn't shown who it is", () => {
    assert.deepEqual(told(mesh("MUTUAL", CHOSEN), proxyOf({ verified: false })), []);
    assert.deepEqual(told(mesh("MUTUAL", ""), { ...gatewayProxy, verified: false }), []);
  });

  it("change with the Secret", () => {
    const before = new Translator(snapshotOf(mesh("MUTUAL", CHOSEN)));
    const proxy = proxyOf();
    const one = before.translate(proxy).secrets;
    const without = mesh("MUTUAL", CHOSEN).replace(/, ca\.crt: [^}]*}/, "}");
    assert.equal(one.length, 2);
    assert.equal(told(without, proxy).length, 1);
  });
});
