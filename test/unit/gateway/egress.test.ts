// Out of the mesh through a gateway: a sidecar leads a host's requests to it with the mesh's TLS, and it leads them on.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { ask, startMember, startOrigin } from "../../gateway/world.ts";
import { startMesh, until } from "../control/mesh.ts";

const MESH = `
apiVersion: v1
kind: Namespace
metadata: {name: edge}
---
apiVersion: v1
kind: Namespace
metadata: {name: production}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: egress, namespace: edge}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: frontend, namespace: production}
---
apiVersion: v1
kind: Pod
metadata: {name: egress-1, namespace: edge, labels: {istio: egressgateway}}
spec: {serviceAccountName: egress, containers: [{name: istio-proxy, image: auto}]}
status: {podIP: EGRESS, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: egress, namespace: edge}
spec: {selector: {istio: egressgateway}, ports: [{name: tls, port: 443, targetPort: 18443}, {name: http, port: 80, targetPort: 18080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: egress-1, namespace: edge, labels: {kubernetes.io/service-name: egress}}
addressType: IPv4
ports: [{name: tls, port: 18443, protocol: TCP}, {name: http, port: 18080, protocol: TCP}]
endpoints: [{addresses: [EGRESS], conditions: {ready: true}, targetRef: {kind: Pod, name: egress-1, namespace: edge}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: production}
spec:
  hosts: [outside.example.com]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: ORIGIN}]
  location: MESH_EXTERNAL
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: production}
spec:
  selector: {istio: egressgateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [outside.example.com]
    tls: {mode: ISTIO_MUTUAL}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: egress, namespace: production}
spec:
  host: egress.edge.svc.cluster.local
  subsets:
  - name: outside
    trafficPolicy:
      portLevelSettings:
      - {port: {number: 443}, tls: {mode: ISTIO_MUTUAL, sni: outside.example.com}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: outside, namespace: production}
spec:
  hosts: [outside.example.com]
  gateways: [mesh, egress]
  http:
  - match: [{gateways: [mesh], port: 80}]
    route: [{destination: {host: egress.edge.svc.cluster.local, subset: outside, port: {number: 443}}}]
    headers: {request: {set: {x-by: sidecar}}}
  - match: [{gateways: [egress], port: 443}]
    route: [{destination: {host: outside.example.com, port: {number: 80}}}]
    headers: {request: {add: {x-by: gateway}}}
`;

test("a host outside is reached through the egress gateway, with the mesh's TLS up to it", async (t) => {
  const mesh = await startMesh(t);
  const origin = await startOrigin(t);
  const egress = ownAddress();
  const sidecar = ownAddress();
  await mesh.apply(MESH.replaceAll("EGRESS", egress).replaceAll("ORIGIN", String(origin)));
  await startMember(t, mesh, {
    type: "router",
    pod: "egress-1",
    namespace: "edge",
    serviceAccount: "egress",
    address: egress,
    labels: { istio: "egressgateway" },
  });
  await startMember(t, mesh, {
    type: "sidecar",
    pod: "frontend-1",
    namespace: "production",
    serviceAccount: "frontend",
    address: sidecar,
    labels: { app: "frontend" },
  });
  const call = () =>
    ask({ address: sidecar, port: 15_001, host: "outside.example.com", path: "http://outside.example.com/a" });
  await until("it is reached", () =>
    call().then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  const answer = await call();
  const seen: unknown = JSON.parse(answer.body);
  assert.equal(Reflect.get(Object(seen), "x-by"), "sidecar, gateway");
  assert.match(
    String(Reflect.get(Object(seen), "x-forwarded-client-cert")),
    /URI=spiffe:\/\/cluster\.local\/ns\/production\/sa\/frontend/,
  );

  // Whoever is not of the mesh gets nothing of it.
  const stranger = { serverName: "outside.example.com", root: mesh.authority.rootPem };
  await assert.rejects(ask({ address: egress, port: 18_443, host: "outside.example.com", secure: stranger }));
});

/** Pods of the explicit mode have an address each; several test runs may share the machine. */
function ownAddress(): string {
  return `127.${randomInt(90, 250)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
}
