// Hosts outside, which ServiceEntries bring into the mesh.

import { http, type Theme, tcp, tls } from "./case.ts";
import { virtualService } from "./route-cases.ts";

const entry = (name: string, spec: string, namespace = "production"): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}`;

const NO_NAMES = "no name resolves in the namespace that the calls are made in";

export const external: readonly Theme[] = [
  {
    name: "ServiceEntries",
    manifests: [
      entry(
        "static",
        `{hosts: [static.example.com], addresses: [10.201.0.10], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}],
  endpoints: [{address: 10.202.0.1, labels: {version: v1}}, {address: 10.202.0.2, labels: {version: v2}, ports: {http: 9080}}]}`,
      ),
      entry(
        "none",
        `{hosts: [none.example.com, "*.wild.example.com"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}`,
      ),
      entry("dns", "{hosts: [dns.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}"),
      entry(
        "mysql",
        "{hosts: [mysql.example.com], addresses: [10.201.0.11], resolution: STATIC, ports: [{number: 3306, name: mysql, protocol: MYSQL}], endpoints: [{address: 10.202.0.3}]}",
      ),
      entry(
        "ranged",
        "{hosts: [ranged.example.com], addresses: [10.203.0.0/16], resolution: NONE, ports: [{number: 5000, name: tcp, protocol: TCP}]}",
      ),
      entry(
        "sites",
        `{hosts: [www.example.com, "*.tls.example.com"], resolution: NONE, ports: [{number: 443, name: tls, protocol: TLS}]}`,
      ),
      entry(
        "originated",
        "{hosts: [secure.example.com], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8444}], endpoints: [{address: 10.202.0.4}]}",
      ),
      entry(
        "hidden",
        `{hosts: [hidden.example.com], exportTo: ["."], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 10.202.0.5}]}`,
        "shop",
      ),
      entry(
        "inside",
        "{hosts: [vm.internal], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}], workloadSelector: {labels: {app: web}}}",
      ),
      `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: originated, namespace: production}
spec: {host: secure.example.com, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}}`,
      `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: static, namespace: production}
spec: {host: static.example.com, subsets: [{name: v1, labels: {version: v1}}]}`,
      virtualService(
        "static",
        `
  hosts: [static.example.com]
  http:
  - match: [{uri: {prefix: /v1}}]
    route: [{destination: {host: static.example.com, subset: v1}}]
  - match: [{uri: {prefix: /home}}]
    route: [{destination: {host: web}}]
  - route: [{destination: {host: static.example.com}}]`,
      ),
      virtualService(
        "to-outside",
        `
  hosts: [empty]
  http:
  - route: [{destination: {host: secure.example.com}}]`,
      ),
    ].join("\n---"),
    cases: [
      {
        name: "STATIC, with ports of its own",
        call: http("10.201.0.10:80", "static.example.com"),
        expect: {
          cluster: "outbound|80||static.example.com",
          hosts: ["10.202.0.1:8080 plain", "10.202.0.2:9080 plain"],
        },
      },
      {
        name: "STATIC, by its rules",
        call: http("10.201.0.10:80", "static.example.com", { path: "/v1" }),
        expect: { cluster: "outbound|80|v1|static.example.com", hosts: ["10.202.0.1:8080 plain"] },
      },
      {
        name: "STATIC, led to a service of the mesh",
        call: http("10.201.0.10:80", "static.example.com", { path: "/home" }),
        expect: {
          cluster: "outbound|80||web.production…",
          hosts: ["10.244.1.1:8080 mesh", "10.244.1.2:8080 mesh", "10.244.1.3:8080 mesh"],
        },
      },
      {
        name: "NONE: to the address that was called",
        call: http("10.200.0.1:80", "none.example.com"),
        expect: { cluster: "outbound|80||none.example.com", hosts: ["10.200.0.1:80 plain"] },
      },
      {
        name: "NONE: a wildcard",
        call: http("10.200.0.2:80", "a.wild.example.com"),
        expect: { cluster: "outbound|80||*.wild.example.com", hosts: ["10.200.0.2:80 plain"] },
      },
      {
        name: "DNS: by its name",
        call: http("10.200.0.3:80", "dns.example.com"),
        expect: { cluster: "outbound|80||dns.example.com", hosts: ["dns.example.com:80 plain"] },
        onlySimulated: NO_NAMES,
      },
      {
        name: "TCP by its address",
        call: tcp("10.201.0.11:3306"),
        expect: {
          listener: "10.201.0.11_3306",
          cluster: "outbound|3306||mysql.example.com",
          hosts: ["10.202.0.3:3306 plain"],
        },
      },
      {
        name: "TCP by a range of addresses",
        call: tcp("10.203.7.7:5000"),
        expect: { cluster: "outbound|5000||ranged.example.com", hosts: ["10.203.7.7:5000 plain"] },
      },
      {
        name: "TCP beside the range",
        call: tcp("10.204.0.1:5000"),
        expect: { cluster: "PassthroughCluster", hosts: ["10.204.0.1:5000 plain"] },
      },
      {
        name: "TLS by its server name",
        call: tls("10.200.0.1:443", "www.example.com"),
        expect: { cluster: "outbound|443||www.example.com", hosts: ["10.200.0.1:443 plain"] },
      },
      {
        name: "TLS by a wildcard",
        call: tls("10.200.0.1:443", "a.tls.example.com"),
        expect: { cluster: "outbound|443||*.tls.example.com", hosts: ["10.200.0.1:443 plain"] },
      },
      {
        name: "TLS by another server name",
        call: tls("10.200.0.1:443", "www.example.org"),
        expect: { cluster: "PassthroughCluster", hosts: ["10.200.0.1:443 plain"] },
      },
      {
        name: "TLS that the proxy begins",
        call: http("10.200.0.1:80", "secure.example.com"),
        expect: {
          cluster: "outbound|80||secure.example.com",
          hosts: ["10.202.0.4:8444 tls"],
          sni: "secure.example.com",
        },
      },
      {
        name: "a service's route to outside",
        call: http("10.96.0.30:80", "empty"),
        expect: { cluster: "outbound|80||secure.example.com", hosts: ["10.202.0.4:8444 tls"] },
      },
      {
        name: "not exported",
        call: http("10.200.0.5:80", "hidden.example.com"),
        expect: { virtualHost: "allow_any", hosts: ["10.200.0.5:80 plain"] },
      },
      {
        name: "exported at home",
        by: "shop",
        call: http("10.200.0.5:80", "hidden.example.com"),
        expect: { cluster: "outbound|80||hidden.example.com", hosts: ["10.202.0.5:80 plain"] },
      },
      {
        name: "of pods of the mesh",
        call: http("10.200.0.6:80", "vm.internal"),
        expect: {
          cluster: "outbound|80||vm.internal",
          hosts: ["10.244.1.1:8080 mesh", "10.244.1.2:8080 mesh", "10.244.1.3:8080 mesh"],
        },
      },
    ],
  },
  {
    name: "ServiceEntries under REGISTRY_ONLY",
    outboundTrafficPolicy: "REGISTRY_ONLY",
    manifests: [
      entry(
        "none",
        "{hosts: [none.example.com], ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}], resolution: NONE}",
      ),
    ].join("\n---"),
    cases: [
      {
        name: "a host that an entry has",
        call: http("10.200.0.1:80", "none.example.com"),
        expect: { cluster: "outbound|80||none.example.com", hosts: ["10.200.0.1:80 plain"] },
      },
      {
        name: "another host",
        call: http("10.200.0.1:80", "other.example.com"),
        expect: { virtualHost: "block_all", status: 502 },
      },
      {
        name: "TLS to a host that an entry has",
        call: tls("10.200.0.1:443", "none.example.com"),
        expect: { cluster: "outbound|443||none.example.com", hosts: ["10.200.0.1:443 plain"] },
      },
      {
        name: "TLS to another host",
        call: tls("10.200.0.1:443", "other.example.com"),
        expect: { cluster: "BlackHoleCluster", error: "no endpoint of BlackHoleCluster" },
      },
    ],
  },
];
