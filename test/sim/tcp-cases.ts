// Where TCP and TLS are routed: a VirtualService's tcp and tls rules.

import type { SimCall } from "./call.ts";
import { http, type Theme, tcp, tls } from "./case.ts";
import { virtualService } from "./route-cases.ts";

const subsets = (host: string): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${host}, namespace: production}
spec: {host: ${host}, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}`;

const db = (subset: string): string => `outbound|5432|${subset}|db.production…`;
const api = (subset: string): string => `outbound|8080|${subset}|api.production…`;
const secure = (subset: string): string => `outbound|443|${subset}|secure.production…`;
const of = (name: string, section: string, index: number) => ({
  rule: `VirtualService production/${name} spec.${section}[${index}]`,
});
const DB = "10.96.0.12:5432";
const from = (source: string, to: string): SimCall => ({ ...tcp(to), from: source });

export const tcpRoutes: readonly Theme[] = [
  {
    name: "TCP routes",
    manifests: [
      subsets("db"),
      subsets("api"),
      virtualService(
        "db",
        `
  hosts: [db]
  tcp:
  - match: [{sourceLabels: {track: canary}}]
    route: [{destination: {host: db, subset: v2}}]
  - match: [{sourceSubnet: 10.244.0.64/26}]
    route: [{destination: {host: db, subset: v2}}]
  - match: [{port: 5439}]
    route: [{destination: {host: db, subset: v2}}]
  - match: [{port: 5432}]
    route: [{destination: {host: db, subset: v1}}]`,
      ),
      virtualService(
        "api",
        `
  hosts: [api]
  tcp:
  - route: [{destination: {host: api, subset: v1}, weight: 75}, {destination: {host: api, subset: v2}, weight: 25}]`,
      ),
      virtualService(
        "ports",
        `
  hosts: [ports]
  tcp:
  - match: [{port: 7000, destinationSubnets: [10.96.0.0/24]}]
    route: [{destination: {host: db, port: {number: 5432}}}]
  - match: [{port: 7000, destinationSubnets: [10.96.0.15]}]
    route: [{destination: {host: ports, port: {number: 6379}}}]
  - match: [{port: 6379, gateways: [outside]}]
    route: [{destination: {host: db, port: {number: 5432}}}]
  - match: [{port: 3306}]
    route: [{destination: {host: nowhere}}]`,
      ),
    ].join("\n---"),
    cases: [
      {
        name: "port",
        call: tcp(DB),
        expect: { ...of("db", "tcp", 3), chain: "default", cluster: db("v1"), hosts: ["10.244.3.1:5432 mesh"] },
      },
      {
        name: "sourceLabels",
        by: "canary",
        call: tcp(DB),
        expect: { ...of("db", "tcp", 0), cluster: db("v2"), hosts: ["10.244.3.2:5432 mesh"] },
      },
      {
        name: "sourceSubnet: from there",
        call: from("10.244.0.99", DB),
        expect: { ...of("db", "tcp", 1), chain: "from 10.244.0.64/26", cluster: db("v2") },
      },
      { name: "sourceSubnet: from elsewhere", call: from("10.244.0.9", DB), expect: of("db", "tcp", 3) },
      {
        name: "weights, for bytes on a sniffed port",
        call: tcp("10.96.0.11:8080"),
        expect: { chain: "default", clusters: { [api("v1")]: 75, [api("v2")]: 25 } },
      },
      {
        name: "HTTP on a sniffed port is not concerned",
        call: http("10.96.0.11:8080", "api:8080"),
        expect: { chain: "http", cluster: api("") },
      },
      {
        name: "the longest destination subnet",
        call: tcp("10.96.0.15:7000"),
        expect: { ...of("ports", "tcp", 1), cluster: "outbound|6379||ports.production…" },
      },
      {
        name: "of gateways only",
        call: tcp("10.96.0.15:6379"),
        expect: { cluster: "outbound|6379||ports.production…" },
      },
      {
        name: "to a service that isn't there",
        call: tcp("10.96.0.15:3306"),
        expect: { ...of("ports", "tcp", 3), error: "host nowhere.production… is not a service of the mesh" },
      },
      { name: "from another namespace", by: "shop", call: tcp(DB), expect: of("db", "tcp", 3) },
    ],
  },
  {
    name: "TLS routes by server name",
    manifests: [
      subsets("secure"),
      subsets("api"),
      virtualService(
        "secure",
        `
  hosts: [secure, "a.example.com", "b.example.com", "*.wild.example.com"]
  tls:
  - match: [{port: 443, sniHosts: [a.example.com]}]
    route: [{destination: {host: secure, subset: v1}}]
  - match: [{port: 443, sniHosts: [b.example.com, "*.wild.example.com"]}]
    route: [{destination: {host: secure, subset: v2}}]
  - match: [{port: 444, sniHosts: [c.example.com]}]
    route: [{destination: {host: secure, subset: v2}}]`,
      ),
      virtualService(
        "api",
        `
  hosts: [api]
  tls:
  - match: [{sniHosts: [api.example.com]}]
    route: [{destination: {host: api, subset: v2}}]
  tcp:
  - route: [{destination: {host: api, subset: v1}}]`,
      ),
    ].join("\n---"),
    cases: [
      {
        name: "one name",
        call: tls("10.96.0.40:443", "a.example.com"),
        expect: {
          ...of("secure", "tls", 0),
          chain: "sni a.example.com",
          cluster: secure("v1"),
          hosts: ["10.244.10.1:8443 mesh"],
        },
      },
      {
        name: "one of two",
        call: tls("10.96.0.40:443", "b.example.com"),
        expect: { ...of("secure", "tls", 1), cluster: secure("v2") },
      },
      {
        name: "a wildcard",
        call: tls("10.96.0.40:443", "x.wild.example.com"),
        expect: { ...of("secure", "tls", 1), cluster: secure("v2") },
      },
      {
        name: "a wildcard, more labels",
        call: tls("10.96.0.40:443", "x.y.wild.example.com"),
        expect: { ...of("secure", "tls", 1), cluster: secure("v2") },
      },
      {
        name: "a wildcard has to stand for something",
        call: tls("10.96.0.40:443", "wild.example.com"),
        expect: { chain: "default", cluster: secure("") },
      },
      { name: "a name in capitals", call: tls("10.96.0.40:443", "A.Example.COM"), expect: of("secure", "tls", 0) },
      {
        name: "another name",
        call: tls("10.96.0.40:443", "c.example.com"),
        expect: { chain: "default", cluster: secure("") },
      },
      { name: "no name", call: tls("10.96.0.40:443"), expect: { chain: "default", cluster: secure("") } },
      { name: "no TLS", call: tcp("10.96.0.40:443"), expect: { chain: "default", cluster: secure("") } },
      {
        name: "on a sniffed port",
        call: tls("10.96.0.11:8080", "api.example.com"),
        expect: { ...of("api", "tls", 0), cluster: api("v2") },
      },
      {
        name: "on a sniffed port, another name",
        call: tls("10.96.0.11:8080", "www.example.com"),
        expect: { ...of("api", "tcp", 0), cluster: api("v1") },
      },
      {
        name: "on a sniffed port, bytes",
        call: tcp("10.96.0.11:8080"),
        expect: { ...of("api", "tcp", 0), cluster: api("v1") },
      },
      {
        name: "on a sniffed port, HTTP",
        call: http("10.96.0.11:8080", "api"),
        expect: { chain: "http", cluster: api("") },
      },
    ],
  },
];
