// What a Sidecar lets its workloads see.

import { http, type Theme, tcp } from "./case.ts";
import { virtualService } from "./route-cases.ts";

const sidecar = (name: string, spec: string): string => `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: ${name}, namespace: production}
spec: ${spec}`;

export const sidecars: readonly Theme[] = [
  {
    name: "Sidecars",
    manifests: [
      sidecar("default", '{egress: [{hosts: ["./*", "shop/orders.shop.svc.cluster.local"]}]}'),
      sidecar(
        "canary",
        '{workloadSelector: {labels: {track: canary}}, outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: ["./web.production.svc.cluster.local"]}]}',
      ),
      virtualService(
        "mixed",
        `
  hosts: [mixed]
  http:
  - route: [{destination: {host: web.shop.svc.cluster.local}}]`,
      ),
    ].join("\n---"),
    cases: [
      {
        name: "its own namespace",
        call: http("10.96.0.10:80", "web"),
        expect: { cluster: "outbound|80||web.production…" },
      },
      {
        name: "a host of another namespace that it names",
        call: http("10.96.0.20:80", "orders.shop"),
        expect: { cluster: "outbound|80||orders.shop…", hosts: ["10.244.8.1:8080 mesh"] },
      },
      {
        name: "another host of that namespace",
        call: http("10.96.0.22:80", "shared.shop"),
        expect: { virtualHost: "allow_any", hosts: ["10.96.0.22:80 plain"] },
      },
      {
        name: "what a route of the namespace leads to",
        call: http("10.96.0.14:80", "mixed"),
        expect: { cluster: "outbound|80||web.shop…", hosts: ["10.244.8.4:8080 mesh"] },
      },
      {
        name: "of some workloads: the host that it names",
        by: "canary",
        call: http("10.96.0.10:80", "web"),
        expect: { cluster: "outbound|80||web.production…" },
      },
      {
        name: "of some workloads: another host",
        by: "canary",
        call: http("10.96.0.20:80", "orders.shop"),
        expect: { virtualHost: "block_all", status: 502 },
      },
      {
        name: "of some workloads: TCP to a service that it doesn't name",
        by: "canary",
        call: tcp("10.96.0.12:5432"),
        expect: { cluster: "BlackHoleCluster", error: "no endpoint of BlackHoleCluster" },
      },
      {
        name: "another namespace has none",
        by: "shop",
        call: http("10.96.0.10:80", "web.production"),
        expect: { cluster: "outbound|80||web.production…" },
      },
    ],
  },
];
