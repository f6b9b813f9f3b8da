// Listeners that Sidecars have of their own: towards the application and for what it calls.

import { foreignTls, http, meshHttp, meshTcp, plainHttp, type Theme, tcp } from "./case.ts";

const sidecar = (spec: string): string => `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: own, namespace: production}
spec: ${spec}`;

const direct = (to: string, host: string) => ({ direction: "direct", to, http: { host } }) as const;

export const listeners: readonly Theme[] = [
  {
    name: "Sidecars' ingress",
    by: "api",
    manifests: [
      sidecar(`
  workloadSelector: {labels: {app: api}}
  ingress:
  - {port: {number: 8080, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:3000"}
  - {port: {number: 7000, protocol: TCP, name: tcp}, defaultEndpoint: "0.0.0.0:3001"}
  - {port: {number: 7001, protocol: HTTP, name: as-called}}
  - {port: {number: 7002, protocol: HTTP, name: unix}, defaultEndpoint: "unix:///var/run/api.sock"}
  - port: {number: 7443, protocol: HTTPS, name: https}
    defaultEndpoint: 127.0.0.1:3002
    tls: {mode: SIMPLE, serverCertificate: /etc/certs/cert.pem, privateKey: /etc/certs/key.pem}
  - {port: {number: 7444, protocol: HTTP, name: bound}, captureMode: NONE, bind: 10.99.0.1, defaultEndpoint: "127.0.0.1:3003"}`),
      `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: api, namespace: production}
spec: {selector: {matchLabels: {app: api}}, portLevelMtls: {7443: {mode: DISABLE}}}`,
    ].join("\n---"),
    cases: [
      {
        name: "HTTP goes on to the application's loopback address",
        call: meshHttp("10.244.2.1:8080"),
        expect: { chain: "0.0.0.0_8080-mtls-http", cluster: "inbound|8080||", hosts: ["127.0.0.1:3000 plain"] },
      },
      {
        name: "TCP goes on to another port of the pod's address",
        call: meshTcp("10.244.2.1:7000"),
        expect: { cluster: "inbound|7000||", hosts: ["10.244.2.1:3001 plain"] },
      },
      {
        name: "without an endpoint it goes on as it was called",
        call: plainHttp("10.244.2.1:7001"),
        expect: { cluster: "inbound|7001||", hosts: ["10.244.2.1:7001 plain"] },
      },
      {
        name: "to a unix socket",
        call: plainHttp("10.244.2.1:7002"),
        expect: { cluster: "inbound|7002||", hosts: ["/var/run/api.sock plain"] },
        onlySimulated: "the table's servers are on ports",
      },
      {
        name: "TLS of its own, where the mesh's is off",
        call: { ...foreignTls("10.244.2.1:7443"), http: { host: "api" } },
        expect: { chain: "0.0.0.0_7443-own-tls", hosts: ["127.0.0.1:3002 plain"] },
      },
      {
        name: "plaintext where it has TLS of its own",
        call: plainHttp("10.244.2.1:7443"),
        expect: { error: "no filter chain: closed" },
      },
      {
        name: "an address that the proxy binds itself",
        call: direct("10.99.0.1:7444", "api"),
        expect: { listener: "10.99.0.1_7444", cluster: "inbound|7444||", hosts: ["127.0.0.1:3003 plain"] },
      },
      {
        name: "a port of a Service that ingress doesn't name is passed through",
        call: plainHttp("10.244.2.1:7777"),
        expect: { cluster: "InboundPassthroughCluster", hosts: ["10.244.2.1:7777 plain"] },
      },
    ],
  },
  {
    name: "Sidecars' egress listeners",
    manifests: sidecar(`
  workloadSelector: {labels: {app: frontend}}
  egress:
  - port: {number: 80, protocol: HTTP, name: web}
    hosts: ["./web.production.svc.cluster.local"]
  - port: {number: 80, protocol: HTTP, name: orders}
    bind: 10.99.0.2
    hosts: ["shop/orders.shop.svc.cluster.local"]
  - port: {number: 5432, protocol: TCP, name: db}
    bind: 10.99.0.3
    hosts: ["./db.production.svc.cluster.local"]
  - port: {number: 9090, protocol: HTTP, name: admin}
    bind: 10.99.0.4
    captureMode: NONE
    hosts: ["./ports.production.svc.cluster.local"]
  - port: {number: 0, protocol: HTTP, name: all}
    bind: unix:///var/run/mesh.sock
    hosts: ["./*"]
  - hosts: ["./*"]`),
    cases: [
      {
        name: "HTTP by an address of its own",
        call: http("10.99.0.2:80", "orders.shop"),
        expect: { listener: "10.99.0.2_80", cluster: "outbound|80||orders.shop…", hosts: ["10.244.8.1:8080 mesh"] },
      },
      {
        name: "a host that the listener doesn't have",
        call: http("10.99.0.2:80", "web"),
        expect: { virtualHost: "block_all", status: 502 },
      },
      {
        name: "what only a listener of its own has is no host of the ordinary port",
        call: http("10.96.0.20:80", "orders.shop"),
        expect: { virtualHost: "allow_any", hosts: ["10.96.0.20:80 plain"] },
      },
      {
        name: "requests by a port that an element is for go to the hosts of that one alone",
        call: http("10.96.0.13:80", "legacy"),
        expect: { virtualHost: "allow_any", hosts: ["10.96.0.13:80 plain"] },
      },
      {
        name: "the host of that element",
        call: http("10.96.0.10:80", "web"),
        expect: { cluster: "outbound|80||web.production…" },
      },
      {
        name: "TCP by an address of its own",
        call: tcp("10.99.0.3:5432"),
        expect: { cluster: "outbound|5432||db.production…", hosts: ["10.244.3.1:5432 mesh", "10.244.3.2:5432 mesh"] },
      },
      {
        name: "an address that the proxy binds itself",
        onlySimulated: "the table's own origins listen on every address of this port",
        call: direct("10.99.0.4:9090", "ports"),
        expect: { listener: "10.99.0.4_9090", cluster: "outbound|9090||ports.production…" },
      },
    ],
  },
  {
    name: "Sidecars' egress proxy",
    manifests: sidecar(`
  workloadSelector: {labels: {app: frontend}}
  outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: shared.shop.svc.cluster.local, port: {number: 80}}}
  egress: [{hosts: ["./*", "shop/*"]}]`),
    cases: [
      {
        name: "HTTP to a host that nobody registered",
        call: http("10.98.0.1:80", "elsewhere.example.com"),
        expect: { virtualHost: "allow_any", cluster: "outbound|80||shared.shop…", hosts: ["10.244.8.3:8080 mesh"] },
      },
      {
        name: "TCP to an address that nobody registered",
        call: tcp("10.98.0.1:4000"),
        expect: { cluster: "outbound|80||shared.shop…", hosts: ["10.244.8.3:8080 mesh"] },
      },
      {
        name: "a service is called as ever",
        call: http("10.96.0.10:80", "web"),
        expect: { cluster: "outbound|80||web.production…" },
      },
      {
        name: "another workload goes there itself",
        by: "shop",
        call: http("10.98.0.1:80", "elsewhere.example.com"),
        expect: { cluster: "PassthroughCluster", hosts: ["10.98.0.1:80 plain"] },
      },
    ],
  },
];
