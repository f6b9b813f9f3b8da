// Gateways as the model has them: who wins on a port, which names bind, and what is said of what leads nowhere.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { keepCredential } from "../../../src/ingest/credential.ts";
import { commonHost, gatewayName } from "../../../src/model/hosts.ts";
import { Translator } from "../../../src/translate/translate.ts";
import { API_WORKLOADS, gatewayProxy, proxyOf, snapshotOf } from "../translate/mesh.ts";

const POD = `
apiVersion: v1
kind: Pod
metadata: {name: ingress-1, namespace: edge, labels: {istio: ingressgateway}}
spec: {serviceAccountName: ingress, containers: [{name: istio-proxy, image: auto, ports: [{name: web, containerPort: 9080}]}]}
status: {podIP: 10.244.0.30, phase: Running}
`;

function gateway(name: string, day: number, servers: string, namespace = "edge"): string {
  return `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: ${namespace}, creationTimestamp: "2026-01-0${day}T00:00:00Z"}
spec: {selector: {istio: ingressgateway}, servers: [${servers}]}
`;
}

function routes(name: string, spec: string, namespace = "production"): string {
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}
`;
}

const TO_API = "http: [{route: [{destination: {host: api.production.svc.cluster.local}}]}]";

function meshOf(...manifests: readonly string[]) {
  return snapshotOf([API_WORKLOADS, POD, ...manifests].join("\n---\n"));
}

function said(...manifests: readonly string[]): readonly string[] {
  return meshOf(...manifests).findings.map(
    ({ resource, type, path }) => `${resource.kind} ${resource.name} ${type} ${path}`,
  );
}

function listenersOf(...manifests: readonly string[]): readonly string[] {
  return new Translator(meshOf(...manifests)).translate(gatewayProxy).listeners.map(({ name }) => name);
}

describe("names", () => {
  it("a Gateway is meant by each of its forms", () => {
    for (const written of ["web", "./web", "edge/web", "web.edge", "web.edge.svc.cluster.local"]) {
      assert.equal(gatewayName(written, "edge"), "edge/web", written);
    }
    assert.equal(gatewayName("web", "other"), "other/web");
    assert.equal(gatewayName("mesh", "edge"), "mesh");
  });

  it("two hosts have the narrower one in common", () => {
    assert.equal(commonHost("*.example.com", "a.example.com"), "a.example.com");
    assert.equal(commonHost("a.example.com", "*.example.com"), "a.example.com");
    assert.equal(commonHost("*", "*.example.com"), "*.example.com");
    assert.equal(commonHost("*.example.com", "*.a.example.com"), "*.a.example.com");
    assert.equal(commonHost("a.example.com", "b.example.com"), undefined);
    assert.equal(commonHost("*.example.com", "example.com"), undefined);
  });
});

describe("servers on one port", () => {
  const http = "{port: {number: 80, name: a, protocol: HTTP}, hosts: [a.example.com]}";
  const tls = "{port: {number: 80, name: b, protocol: TLS}, hosts: [b.example.com], tls: {mode: PASSTHROUGH}}";
  const same =
    "{port: {number: 443, name: c, protocol: HTTPS}, hosts: [c.example.com, d.example.com], tls: {mode: ISTIO_MUTUAL}}";

  it("the older protocol has it", () => {
    assert.deepEqual(said(gateway("young", 2, tls), gateway("old", 1, http)), [
      "Gateway young conflict spec.servers[0].port",
    ]);
    assert.deepEqual(listenersOf(gateway("young", 2, tls), gateway("old", 1, http)), ["0.0.0.0_80"]);
  });

  it("of equal age the first by name has it", () => {
    assert.deepEqual(said(gateway("b", 1, tls), gateway("a", 1, http)), ["Gateway b conflict spec.servers[0].port"]);
  });

  it("a host over TLS belongs to the older server, the others stay", () => {
    const young = same.replace("c.example.com", "e.example.com");
    assert.deepEqual(said(gateway("young", 2, young), gateway("old", 1, same)), [
      "Gateway young conflict spec.servers[0].hosts[1]",
    ]);
    const [listener] = new Translator(meshOf(gateway("young", 2, young), gateway("old", 1, same))).translate(
      gatewayProxy,
    ).listeners;
    assert.deepEqual(
      listener?.filterChains.map((chain) => chain.filterChainMatch?.serverNames),
      [["c.example.com", "d.example.com"], ["e.example.com"]],
    );
  });

  it("several plain servers share it, whatever their hosts", () => {
    assert.deepEqual(said(gateway("old", 1, http), gateway("young", 2, http)), []);
  });

  it("a Service in front says where the port leads: by number, by the port's name, or not at all", () => {
    const service = (target: string, labels = "{}") => `
apiVersion: v1
kind: Service
metadata: {name: front, namespace: edge, labels: ${labels}}
spec: {selector: {istio: ingressgateway}, ports: [{port: 80, targetPort: ${target}}]}
`;
    assert.deepEqual(listenersOf(gateway("a", 1, http)), ["0.0.0.0_80"]);
    assert.deepEqual(listenersOf(gateway("a", 1, http), service("8080")), ["0.0.0.0_8080"]);
    assert.deepEqual(listenersOf(gateway("a", 1, http), service("web")), ["0.0.0.0_9080"]);
    assert.deepEqual(listenersOf(gateway("a", 1, http), service("8080", '{networking.istio.io/gatewayPort: "80"}')), [
      "0.0.0.0_80",
    ]);
    assert.deepEqual(listenersOf(gateway("a", 1, http.replace("hosts", "bind: 10.0.0.1, hosts"))), ["10.0.0.1_80"]);
  });
});

describe("rules of gateways", () => {
  it("hold by the gateway's own labels, and by the Gateway that they name", () => {
    const server = "{port: {number: 80, name: a, protocol: HTTP}, hosts: [a.example.com]}";
    const rule = (match: string) =>
      routes(
        "r",
        `{hosts: [a.example.com], gateways: [edge/a], http: [{match: [{${match}}], route: [{destination: {host: api}}]}]}`,
      );
    const paths = (match: string) =>
      new Translator(meshOf(gateway("a", 1, server), rule(match)))
        .translate(gatewayProxy)
        .routes.flatMap(({ virtualHosts }) => virtualHosts.flatMap((host) => host.routes)).length;
    assert.equal(paths("sourceLabels: {istio: ingressgateway}"), 1);
    assert.equal(paths("sourceLabels: {istio: another}"), 0);
    assert.equal(paths("gateways: [edge/a]"), 1);
    assert.equal(paths("gateways: [a]"), 0, "of the rule's own namespace");
    assert.equal(paths("gateways: [mesh]"), 0);
    assert.equal(paths("port: 80"), 1);
    assert.equal(paths("port: 81"), 0);
  });
});

describe("what leads nowhere", () => {
  const server = (tls: string) =>
    `{port: {number: 443, name: a, protocol: HTTPS}, hosts: ["./*.example.com"], tls: ${tls}}`;

  it("a Gateway that no pod serves, or whose credential isn't there", () => {
    const mutual = server("{mode: MUTUAL, credentialName: web}");
    assert.deepEqual(said(gateway("a", 1, mutual).replace("ingressgateway", "nobody")), [
      "Gateway a reference spec.selector",
    ]);
    assert.deepEqual(said(gateway("a", 1, mutual)), [
      "Gateway a reference spec.servers[0].tls.credentialName",
      "Gateway a reference spec.servers[0].tls.credentialName",
    ]);
  });

  it("a VirtualService whose Gateway isn't there, or has no such host for its namespace", () => {
    const plain = server("{mode: ISTIO_MUTUAL}");
    const bound = (gateways: string, host: string) =>
      routes("r", `{hosts: [${host}], gateways: [${gateways}], ${TO_API}}`, "edge");
    assert.deepEqual(said(gateway("a", 1, plain), bound("a", "x.example.com")), []);
    assert.deepEqual(said(gateway("a", 1, plain), bound("b", "x.example.com")), [
      "VirtualService r reference spec.gateways[0]",
    ]);
    assert.deepEqual(said(gateway("a", 1, plain), bound("a", "x.example.org")), [
      "VirtualService r reference spec.hosts[0]",
    ]);
    const stranger = routes("r", `{hosts: [x.example.com], gateways: [edge/a], ${TO_API}}`);
    assert.deepEqual(said(gateway("a", 1, plain), stranger), ["VirtualService r reference spec.hosts[0]"]);
  });
});

describe("credentials", () => {
  const SECRET = `
apiVersion: v1
kind: Secret
metadata: {name: web, namespace: edge}
data: {ca.crt: ${Buffer.from("-----BEGIN CERTIFICATE-----").toString("base64")}}
`;
  const MUTUAL = gateway(
    "a",
    1,
    "{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: web}}",
  );
  const secretsFor = (proxy: typeof gatewayProxy) =>
    new Translator(meshOf(MUTUAL, SECRET)).translate(proxy).secrets.map(({ name }) => name);

  it("go to a gateway of their namespace that has shown to be of it, and to nobody else", () => {
    assert.deepEqual(secretsFor(gatewayProxy), ["kubernetes://web-cacert"]);
    assert.deepEqual(secretsFor({ ...gatewayProxy, verified: false }), []);
    assert.deepEqual(secretsFor({ ...gatewayProxy, namespace: "production" }), []);
    assert.deepEqual(secretsFor({ ...gatewayProxy, labels: {} }), []);
    assert.deepEqual(secretsFor(proxyOf({ namespace: "edge", labels: { istio: "ingressgateway" } })), []);
  });

  it("are kept of Secrets that may be one, without their key in print", () => {
    const secret = (type: string | undefined, data: object) =>
      keepCredential({
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "a" },
        ...(type === undefined ? {} : { type }),
        ...{ data },
      });
    assert.equal(secret("helm.sh/release.v1", { "ca.crt": "YQ==" }), undefined);
    assert.equal(secret("Opaque", { password: "YQ==" }), undefined);
    assert.equal(secret("Opaque", { cacert: "YQ==", password: "YQ==" })?.credential?.trust?.bundlePem, "a");
    const broken = secret("kubernetes.io/tls", { "tls.crt": "YQ==", "tls.key": "YQ==" });
    assert.equal(broken?.credential?.certificate, undefined);
    assert.match(broken?.credential?.broken ?? "", /can't be read as PEM/);
  });
});
