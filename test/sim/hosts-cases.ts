// By which names a service is called, from where, and what happens to names that no service has.

import { http, type Theme, tcp, tls } from "./case.ts";

const WEB = { listener: "0.0.0.0_80", virtualHost: "web.production…:80", cluster: "outbound|80||web.production…" };
const WEB_OF_SHOP = { listener: "0.0.0.0_80", virtualHost: "web.shop…:80", cluster: "outbound|80||web.shop…" };
const OUTSIDE = { listener: "0.0.0.0_80", virtualHost: "allow_any", route: "allow_any", cluster: "PassthroughCluster" };
const BLOCKED = { listener: "0.0.0.0_80", virtualHost: "block_all", route: "block_all" };

export const hosts: readonly Theme[] = [
  {
    name: "hosts",
    cases: [
      {
        name: "the short name, within the namespace",
        call: http("10.96.0.10:80", "web"),
        expect: {
          ...WEB,
          chain: "any",
          route: "default",
          hosts: ["10.244.1.1:8080 mesh", "10.244.1.2:8080 mesh", "10.244.1.3:8080 mesh"],
          sni: "outbound_.80_._.web.production…",
          path: "/",
          authority: "web",
        },
      },
      { name: "the short name with its port", call: http("10.96.0.10:80", "web:80"), expect: WEB },
      { name: "the name with its namespace", call: http("10.96.0.10:80", "web.production"), expect: WEB },
      { name: "the name with svc", call: http("10.96.0.10:80", "web.production.svc"), expect: WEB },
      { name: "the full name", call: http("10.96.0.10:80", "web.production.svc.cluster.local"), expect: WEB },
      {
        name: "the full name and port",
        call: http("10.96.0.10:80", "web.production.svc.cluster.local:80"),
        expect: WEB,
      },
      { name: "the service's address", call: http("10.96.0.10:80", "10.96.0.10"), expect: WEB },
      { name: "the service's address and port", call: http("10.96.0.10:80", "10.96.0.10:80"), expect: WEB },
      {
        name: "a name in capitals",
        call: http("10.96.0.10:80", "WEB.Production"),
        expect: { ...WEB, authority: "WEB.Production" },
      },
      { name: "a part of the full name", call: http("10.96.0.10:80", "web.production.svc.cluster"), expect: OUTSIDE },
      { name: "the wrong port behind the name", call: http("10.96.0.10:80", "web:9999"), expect: OUTSIDE },
      {
        name: "HTTP goes by its host, not by the address: another service's",
        call: http("10.96.0.20:80", "web"),
        expect: WEB,
      },
      { name: "HTTP goes by its host, not by the address: nobody's", call: http("10.99.9.9:80", "web"), expect: WEB },
      {
        name: "a service of another namespace",
        call: http("10.96.0.20:80", "orders.shop"),
        expect: {
          virtualHost: "orders.shop…:80",
          cluster: "outbound|80||orders.shop…",
          hosts: ["10.244.8.1:8080 mesh"],
        },
      },
      {
        name: "a service of another namespace by its short name",
        call: http("10.96.0.20:80", "orders"),
        expect: { ...OUTSIDE, hosts: ["10.96.0.20:80 plain"] },
      },
      { name: "two services of one name: the other one", call: http("10.96.0.23:80", "web.shop"), expect: WEB_OF_SHOP },
      {
        name: "two services of one name: from the other namespace",
        by: "shop",
        call: http("10.96.0.23:80", "web"),
        expect: WEB_OF_SHOP,
      },
      {
        name: "two services of one name: back",
        by: "shop",
        call: http("10.96.0.10:80", "web.production"),
        expect: WEB,
      },
      {
        name: "a service without endpoints",
        call: http("10.96.0.30:80", "empty"),
        expect: {
          cluster: "outbound|80||empty.production…",
          status: 503,
          error: "no endpoint of outbound|80||empty.production…",
        },
      },
      {
        name: "a service whose only pod is not ready",
        call: tcp("10.96.0.31:5433"),
        expect: {
          cluster: "outbound|5433||booting.production…",
          error: "no endpoint of outbound|5433||booting.production…",
        },
      },
    ],
  },
  {
    name: "exportTo of a service",
    cases: [
      { name: "not exported: unknown outside", call: http("10.96.0.21:80", "hidden.shop"), expect: OUTSIDE },
      {
        name: "not exported: known within",
        by: "shop",
        call: http("10.96.0.21:80", "hidden"),
        expect: { cluster: "outbound|80||hidden.shop…", hosts: ["10.244.8.2:8080 mesh"] },
      },
      {
        name: "exported to one's namespace by name",
        call: http("10.96.0.22:80", "shared.shop"),
        expect: { cluster: "outbound|80||shared.shop…", hosts: ["10.244.8.3:8080 mesh"] },
      },
      {
        name: "exported by name and still known at home",
        by: "shop",
        call: http("10.96.0.22:80", "shared"),
        expect: { cluster: "outbound|80||shared.shop…" },
      },
    ],
  },
  {
    name: "outside the mesh, ALLOW_ANY",
    cases: [
      {
        name: "HTTP on a port that the mesh knows",
        call: http("10.200.0.1:80", "example.com"),
        expect: { ...OUTSIDE, hosts: ["10.200.0.1:80 plain"], authority: "example.com" },
      },
      {
        name: "HTTP on a port that nobody has",
        call: http("10.200.0.1:8888", "example.com"),
        expect: {
          listener: "virtualOutbound",
          chain: "virtualOutbound-catchall-tcp",
          cluster: "PassthroughCluster",
          hosts: ["10.200.0.1:8888 plain"],
        },
      },
      {
        name: "TCP",
        call: tcp("10.200.0.1:5432"),
        expect: { listener: "virtualOutbound", cluster: "PassthroughCluster", hosts: ["10.200.0.1:5432 plain"] },
      },
      {
        name: "TLS",
        call: tls("10.200.0.1:443", "example.com"),
        expect: { listener: "virtualOutbound", cluster: "PassthroughCluster", hosts: ["10.200.0.1:443 plain"] },
      },
      {
        name: "a pod by its address, on a port that only services' addresses have",
        call: http("10.244.1.1:8080", "10.244.1.1:8080"),
        expect: { listener: "virtualOutbound", cluster: "PassthroughCluster", hosts: ["10.244.1.1:8080 plain"] },
      },
      {
        name: "a service's address on a port that it hasn't",
        call: tcp("10.96.0.12:5439"),
        expect: { listener: "virtualOutbound", cluster: "PassthroughCluster" },
      },
      {
        name: "the proxy's own port is no way out",
        call: tcp("10.244.0.9:15001"),
        expect: {
          listener: "virtualOutbound",
          chain: "virtualOutbound-blackhole",
          cluster: "BlackHoleCluster",
          error: "no endpoint of BlackHoleCluster",
        },
      },
    ],
  },
  {
    name: "outside the mesh, REGISTRY_ONLY",
    outboundTrafficPolicy: "REGISTRY_ONLY",
    cases: [
      { name: "a service of the mesh", call: http("10.96.0.10:80", "web"), expect: WEB },
      {
        name: "HTTP to a foreign host",
        call: http("10.200.0.1:80", "example.com"),
        expect: { ...BLOCKED, status: 502, rule: "MeshConfig outboundTrafficPolicy" },
      },
      {
        name: "HTTP on a port that nobody has",
        call: http("10.200.0.1:8888", "example.com"),
        expect: { listener: "virtualOutbound", cluster: "BlackHoleCluster", error: "no endpoint of BlackHoleCluster" },
      },
      {
        name: "TCP",
        call: tcp("10.200.0.1:5432"),
        expect: { listener: "virtualOutbound", cluster: "BlackHoleCluster", error: "no endpoint of BlackHoleCluster" },
      },
      {
        name: "TLS",
        call: tls("10.200.0.1:443", "example.com"),
        expect: { listener: "virtualOutbound", cluster: "BlackHoleCluster", error: "no endpoint of BlackHoleCluster" },
      },
      {
        name: "TCP to a service of the mesh",
        call: tcp("10.96.0.12:5432"),
        expect: { cluster: "outbound|5432||db.production…" },
      },
      {
        name: "a service that is not exported counts as foreign",
        call: http("10.96.0.21:80", "hidden.shop"),
        expect: { ...BLOCKED, status: 502 },
      },
    ],
  },
];
