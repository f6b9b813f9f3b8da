// Towards the server: which TLS a DestinationRule asks for, and what is spoken where it asks for none.

import { http, type Theme, tcp } from "./case.ts";

const rule = (name: string, spec: string, namespace = "production"): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}`;

const FILES =
  "clientCertificate: /etc/certs/cert.pem, privateKey: /etc/certs/key.pem, caCertificates: /etc/certs/ca.pem";

export const security: readonly Theme[] = [
  {
    name: "automatic mutual TLS",
    cases: [
      {
        name: "to a pod with a sidecar",
        call: http("10.96.0.20:80", "orders.shop"),
        expect: { hosts: ["10.244.8.1:8080 mesh"], sni: "outbound_.80_._.orders.shop…" },
      },
      {
        name: "to a pod without one",
        call: http("10.96.0.13:80", "legacy"),
        expect: { hosts: ["10.244.4.1:8080 plain"] },
      },
      { name: "TCP to a pod without one", call: tcp("10.96.0.13:7000"), expect: { hosts: ["10.244.4.1:7000 plain"] } },
      {
        name: "to each as it can",
        call: http("10.96.0.14:80", "mixed"),
        expect: { hosts: ["10.244.5.1:8080 mesh", "10.244.5.2:8080 plain"] },
      },
      {
        name: "TCP to each as it can",
        call: tcp("10.96.0.14:7000"),
        expect: { hosts: ["10.244.5.1:7000 mesh", "10.244.5.2:7000 plain"] },
      },
    ],
  },
  {
    name: "a DestinationRule's TLS modes",
    manifests: [
      rule("web", "{host: web, trafficPolicy: {tls: {mode: DISABLE}}}"),
      rule("db", "{host: db, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"),
      rule("mixed", "{host: mixed, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: mixed.example.com}}}"),
      rule(
        "legacy",
        `{host: legacy, trafficPolicy: {tls: {mode: SIMPLE, sni: legacy.example.com, caCertificates: /etc/certs/ca.pem}}}`,
      ),
      rule("orders", `{host: orders.shop.svc.cluster.local, trafficPolicy: {tls: {mode: MUTUAL, ${FILES}}}}`),
      rule(
        "ports",
        "{host: ports, trafficPolicy: {portLevelSettings: [{port: {number: 9090}, tls: {mode: DISABLE}}, {port: {number: 7000}, tls: {mode: SIMPLE, insecureSkipVerify: true}}]}}",
      ),
      rule(
        "api",
        "{host: api, trafficPolicy: {tls: {mode: DISABLE}}, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}]}",
      ),
      `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: production}
spec:
  hosts: [api]
  http:
  - match: [{uri: {prefix: /v1}}]
    route: [{destination: {host: api, subset: v1}}]
  - match: [{uri: {prefix: /v2}}]
    route: [{destination: {host: api, subset: v2}}]
  - route: [{destination: {host: api}}]`,
    ].join("\n---"),
    cases: [
      {
        name: "DISABLE: plaintext to sidecars too",
        call: http("10.96.0.10:80", "web"),
        expect: { hosts: ["10.244.1.1:8080 plain", "10.244.1.2:8080 plain", "10.244.1.3:8080 plain"] },
      },
      {
        name: "ISTIO_MUTUAL",
        call: tcp("10.96.0.12:5432"),
        expect: { hosts: ["10.244.3.1:5432 mesh", "10.244.3.2:5432 mesh"], sni: "outbound_.5432_._.db.production…" },
      },
      {
        name: "ISTIO_MUTUAL asks every endpoint for it, by the name that is given",
        call: http("10.96.0.14:80", "mixed"),
        expect: { hosts: ["10.244.5.1:8080 mesh", "10.244.5.2:8080 mesh"], sni: "mixed.example.com" },
        onlySimulated: "one endpoint fails the handshake, the other doesn't",
      },
      {
        name: "SIMPLE, with a name",
        call: http("10.96.0.13:80", "legacy"),
        expect: { hosts: ["10.244.4.1:8080 tls"], sni: "legacy.example.com" },
      },
      {
        name: "MUTUAL",
        call: http("10.96.0.20:80", "orders.shop"),
        expect: { hosts: ["10.244.8.1:8080 tls"], sni: "orders.shop…" },
      },
      { name: "of another port", call: http("10.96.0.15:80", "ports"), expect: { hosts: ["10.244.7.1:8080 mesh"] } },
      {
        name: "of this port: DISABLE",
        call: http("10.96.0.15:9090", "ports:9090"),
        expect: { hosts: ["10.244.7.1:9091 plain"] },
      },
      {
        name: "of this port: SIMPLE for TCP",
        call: tcp("10.96.0.15:7000"),
        expect: { hosts: ["10.244.7.1:7000 tls"] },
      },
      {
        name: "of the host",
        call: http("10.96.0.11:8080", "api:8080"),
        expect: { hosts: ["10.244.2.1:8080 plain", "10.244.2.2:8080 plain"] },
      },
      {
        name: "a subset without its own has the host's",
        call: http("10.96.0.11:8080", "api:8080", { path: "/v1" }),
        expect: { cluster: "outbound|8080|v1|api.production…", hosts: ["10.244.2.1:8080 plain"] },
      },
      {
        name: "a subset's own",
        call: http("10.96.0.11:8080", "api:8080", { path: "/v2" }),
        expect: {
          cluster: "outbound|8080|v2|api.production…",
          hosts: ["10.244.2.2:8080 mesh"],
          sni: "outbound_.8080_.v2_.api.production…",
        },
      },
      {
        name: "a rule of the client's namespace is no other client's",
        by: "shop",
        call: http("10.96.0.20:80", "orders"),
        expect: { hosts: ["10.244.8.1:8080 mesh"] },
      },
      {
        name: "a rule of the service's namespace holds for clients elsewhere",
        by: "shop",
        call: http("10.96.0.10:80", "web.production"),
        expect: { hosts: ["10.244.1.1:8080 plain", "10.244.1.2:8080 plain", "10.244.1.3:8080 plain"] },
      },
    ],
  },
  {
    name: "clients of workloads that take no mutual TLS",
    manifests: `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: web, namespace: production}
spec: {selector: {matchLabels: {app: web, version: v1}}, mtls: {mode: DISABLE}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: ports, namespace: production}
spec: {selector: {matchLabels: {app: ports}}, portLevelMtls: {"9091": {mode: DISABLE}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: DISABLE}}`,
    cases: [
      {
        name: "speak plaintext to the pods that say so",
        call: http("10.96.0.10:80", "web"),
        expect: { hosts: ["10.244.1.1:8080 plain", "10.244.1.2:8080 mesh", "10.244.1.3:8080 mesh"] },
      },
      {
        name: "to the port that says so",
        call: http("10.96.0.15:9090", "ports:9090"),
        expect: { hosts: ["10.244.7.1:9091 plain"] },
      },
      { name: "not to its other ports", call: tcp("10.96.0.15:7000"), expect: { hosts: ["10.244.7.1:7000 mesh"] } },
      {
        name: "to all of a namespace",
        call: http("10.96.0.20:80", "orders.shop"),
        expect: { hosts: ["10.244.8.1:8080 plain"] },
      },
    ],
  },
  {
    name: "which DestinationRule holds",
    manifests: [
      rule("all", '{host: "*.production.svc.cluster.local", trafficPolicy: {tls: {mode: DISABLE}}}'),
      rule("db", "{host: db, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"),
      rule("client", "{host: orders.shop.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}"),
      rule("orders", "{host: orders, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}}", "shop"),
      rule(
        "private",
        "{host: web, exportTo: [.], trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}}",
        "shop",
      ),
      rule("root", '{host: "*.shop.svc.cluster.local", trafficPolicy: {tls: {mode: DISABLE}}}', "istio-system"),
      rule(
        "canary",
        "{host: legacy, workloadSelector: {matchLabels: {track: canary}}, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}}",
      ),
    ].join("\n---"),
    cases: [
      {
        name: "a wildcard",
        call: http("10.96.0.14:80", "mixed"),
        expect: { hosts: ["10.244.5.1:8080 plain", "10.244.5.2:8080 plain"] },
      },
      {
        name: "the exact host before the wildcard",
        call: tcp("10.96.0.12:5432"),
        expect: { hosts: ["10.244.3.1:5432 mesh", "10.244.3.2:5432 mesh"] },
      },
      {
        name: "the client's namespace before the service's",
        call: http("10.96.0.20:80", "orders.shop"),
        expect: { hosts: ["10.244.8.1:8080 plain"] },
      },
      {
        name: "the service's namespace",
        by: "shop",
        call: http("10.96.0.20:80", "orders"),
        expect: { hosts: ["10.244.8.1:8080 tls"] },
      },
      {
        name: "exportTo: at home",
        by: "shop",
        call: http("10.96.0.23:80", "web"),
        expect: { hosts: ["10.244.8.4:8080 tls"] },
      },
      {
        name: "exportTo: elsewhere it is passed over, and the root namespace's holds",
        call: http("10.96.0.23:80", "web.shop"),
        expect: { hosts: ["10.244.8.4:8080 plain"] },
      },
      {
        name: "a rule for some clients: one of them",
        by: "canary",
        call: http("10.96.0.13:80", "legacy"),
        expect: { hosts: ["10.244.4.1:8080 tls"] },
      },
      {
        name: "a rule for some clients: another",
        call: http("10.96.0.13:80", "legacy"),
        expect: { hosts: ["10.244.4.1:8080 plain"] },
      },
    ],
  },
  {
    name: "PASSTHROUGH",
    manifests: rule("web", "{host: web, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}"),
    cases: [
      {
        name: "to the address that was called",
        call: http("10.244.1.2:80", "web"),
        expect: { cluster: "outbound|80||web.production…", hosts: ["10.244.1.2:80 mesh"] },
      },
    ],
  },
];
