// What is described is what applies, with the resource that says so.

import assert from "node:assert/strict";
import test from "node:test";
import { describeService } from "../../../src/analyze/describe-service.ts";
import { describePod } from "../../../src/analyze/describe-workload.ts";
import { buildWorld } from "../../../src/analyze/world.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { objectsOf } from "./analyzed.ts";

const WORLD = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Pod
metadata:
  name: api-1
  namespace: shop
  uid: "1"
  labels: {app: api, version: v1, security.istio.io/tlsMode: istio}
spec: {serviceAccountName: api, containers: [{name: app, image: app}, {name: istio-proxy, image: auto}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {selector: {app: api}, clusterIP: 10.96.0.7, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: api-1, namespace: shop, labels: {kubernetes.io/service-name: api}}
addressType: IPv4
ports: [{name: "", port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.244.0.11], conditions: {ready: true}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web-only, namespace: shop}
spec: {rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: all, namespace: shop}
spec: {host: "*.shop.svc.cluster.local", trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: shop}
spec: {host: api, trafficPolicy: {connectionPool: {tcp: {maxConnections: 9}}}, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api-more, namespace: shop}
spec: {host: api, trafficPolicy: {outlierDetection: {interval: 30s}}, subsets: [{name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec:
  hosts: [api]
  http:
  - route: [{destination: {host: api, subset: v1}, weight: 3}, {destination: {host: api, subset: v2}, weight: 1}]
    timeout: 10s
`;

const world = buildWorld(objectsOf(WORLD), defaultMeshConfig);

test("a service: protocol, mTLS, merged rule with origins, what is not inherited, shares, policies", () => {
  const service = world.snapshot.services.get("api.shop.svc.cluster.local");
  assert.ok(service);
  const of = describeService(world, service);
  assert.deepEqual(
    of.ports.map(({ number, protocol }) => [number, protocol]),
    [[80, "sniffed"]],
  );
  assert.deepEqual(
    of.mtls.map(({ port, mode, policy }) => [port, mode, policy]),
    [[80, "STRICT", "PeerAuthentication shop/default"]],
  );
  assert.deepEqual(of.destinationRule?.fields, [
    { field: "connectionPool.tcp.maxConnections", value: 9, from: "DestinationRule shop/api" },
    { field: "outlierDetection.interval", value: "30s", from: "DestinationRule shop/api-more" },
  ]);
  assert.deepEqual(
    of.notInherited.map(({ rule, fields }) => [rule, fields]),
    [["DestinationRule shop/all", ["tls.mode"]]],
  );
  assert.deepEqual(of.virtualService?.rules[0]?.destinations, [
    { to: "api subset v1", percent: 75 },
    { to: "api subset v2", percent: 25 },
  ]);
  assert.equal(of.virtualService?.rules[0]?.timeout, "10s");
  assert.match(of.virtualService?.rules[0]?.retries ?? "", /^2 \(default\) on connect-failure/);
  assert.deepEqual(
    of.authorization.map(({ policy, action }) => [policy, action]),
    [["AuthorizationPolicy shop/web-only", "ALLOW"]],
  );
  assert.deepEqual(of.findings.map(({ code }) => code).sort(), [
    "IST0118",
    "IST0173",
    "WEFT0102",
    "WEFT0103",
    "WEFT0105",
    "WEFT0205",
  ]);
});

test("a pod: identity, sidecar, services, mTLS", () => {
  const pod = world.pods.find(({ resource }) => resource.name === "api-1");
  assert.ok(pod);
  const of = describePod(world, pod);
  assert.equal(of.identity, "spiffe://cluster.local/ns/shop/sa/api");
  assert.equal(of.sidecar, true);
  assert.deepEqual(
    of.services.map(({ host }) => host),
    ["api.shop.svc.cluster.local"],
  );
  assert.deepEqual(
    of.mtls.map(({ port, mode }) => [port, mode]),
    [[undefined, "STRICT"]],
  );
});

test("a gateway's pod is described by what it serves", () => {
  const world = buildWorld(
    objectsOf(`
apiVersion: v1
kind: Pod
metadata: {name: ingress-1, namespace: edge, uid: "1", labels: {istio: ingressgateway}}
spec: {containers: [{name: istio-proxy, image: auto, args: [proxy, router], ports: [{name: web, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: ingress, namespace: edge}
spec: {selector: {istio: ingressgateway}, ports: [{port: 80, targetPort: web}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example.com]}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [b.example.com], tls: {mode: SIMPLE, credentialName: web}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: edge}
spec: {hosts: [a.example.com], gateways: [web], http: [{directResponse: {status: 200}}]}
`),
    defaultMeshConfig,
  );
  const [pod] = world.pods;
  assert.ok(pod);
  const { sidecar, mtls, servers, findings } = describePod(world, pod);
  assert.deepEqual([sidecar, mtls], [false, []]);
  assert.deepEqual(servers, [
    {
      server: "Gateway edge/web spec.servers[0]",
      listens: "0.0.0.0:8080",
      protocol: "HTTP",
      hosts: ["a.example.com"],
      routes: ["VirtualService edge/a"],
    },
    {
      server: "Gateway edge/web spec.servers[1]",
      listens: "0.0.0.0:443",
      protocol: "HTTPS SIMPLE",
      hosts: ["b.example.com"],
      routes: [],
    },
  ]);
  assert.ok(findings.some(({ path }) => path === "spec.servers[1].tls.credentialName"));
});
