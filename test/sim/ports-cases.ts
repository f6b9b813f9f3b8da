// Ports and protocols: declared, sniffed, of services and of single pods.

import { http, type Theme, tcp, tls } from "./case.ts";

const toPorts = (port: number) => ({ cluster: `outbound|${port}||ports.production…` });
const byAddress = (port: number) => ({ listener: `10.96.0.15_${port}`, ...toPorts(port) });
const NOT_HTTP = "not HTTP: 400 or closed";

const API = { listener: "10.96.0.11_8080", cluster: "outbound|8080||api.production…" };
const API_HOSTS = ["10.244.2.1:8080 mesh", "10.244.2.2:8080 mesh"];

export const ports: readonly Theme[] = [
  {
    name: "ports and protocols",
    cases: [
      {
        name: "a named target port's number",
        call: http("10.96.0.15:80", "ports"),
        expect: { ...toPorts(80), hosts: ["10.244.7.1:8080 mesh"] },
      },
      {
        name: "a second HTTP port",
        call: http("10.96.0.15:9090", "ports:9090"),
        expect: {
          listener: "0.0.0.0_9090",
          virtualHost: "ports.production…:9090",
          ...toPorts(9090),
          hosts: ["10.244.7.1:9091 mesh"],
        },
      },
      {
        name: "a host without the port, on another than 80",
        call: http("10.96.0.15:9090", "ports"),
        expect: { listener: "0.0.0.0_9090", ...toPorts(9090) },
      },
      {
        name: "a service that hasn't the port",
        call: http("10.96.0.10:9090", "web:9090"),
        expect: {
          listener: "0.0.0.0_9090",
          virtualHost: "allow_any",
          cluster: "PassthroughCluster",
          hosts: ["10.96.0.10:9090 plain"],
        },
      },
      {
        name: "tcp-…: bytes",
        call: tcp("10.96.0.15:7000"),
        expect: { ...byAddress(7000), chain: "any", hosts: ["10.244.7.1:7000 mesh"] },
      },
      { name: "tcp-…: HTTP is bytes too", call: http("10.96.0.15:7000", "ports:7000"), expect: byAddress(7000) },
      { name: "tcp-…: TLS is bytes too", call: tls("10.96.0.15:7000", "ports"), expect: byAddress(7000) },
      { name: "mysql by name", call: tcp("10.96.0.15:3306"), expect: byAddress(3306) },
      {
        name: "a port that is known to be silent",
        call: tcp("10.96.0.15:27017"),
        expect: { ...byAddress(27_017), chain: "any" },
      },
      { name: "tls-…", call: tls("10.96.0.15:8443", "anything"), expect: byAddress(8443) },
      { name: "redis-…", call: tcp("10.96.0.15:6379"), expect: byAddress(6379) },
      {
        name: "appProtocol http",
        call: http("10.96.0.15:8500", "ports:8500"),
        expect: { listener: "0.0.0.0_8500", virtualHost: "ports.production…:8500", ...toPorts(8500) },
      },
      {
        name: "appProtocol goes before the name",
        call: http("10.96.0.15:8501", "ports:8501"),
        expect: byAddress(8501),
      },
      {
        name: "a name that says nothing: HTTP",
        call: http("10.96.0.15:8502", "ports"),
        expect: { ...byAddress(8502), chain: "http" },
      },
      {
        name: "a name that says nothing: bytes",
        call: tcp("10.96.0.15:8502"),
        expect: { ...byAddress(8502), chain: "default" },
      },
      {
        name: "bytes on an HTTP port",
        call: tcp("10.96.0.10:80"),
        expect: { listener: "0.0.0.0_80", error: NOT_HTTP },
      },
      {
        name: "TLS on an HTTP port",
        call: tls("10.96.0.10:80", "web"),
        expect: { listener: "0.0.0.0_80", error: NOT_HTTP },
      },
      {
        name: "an HTTP port at a foreign address",
        call: http("10.200.0.1:9090", "example.com:9090"),
        expect: { listener: "0.0.0.0_9090", virtualHost: "allow_any", hosts: ["10.200.0.1:9090 plain"] },
      },
      {
        name: "a TCP port at a foreign address",
        call: tcp("10.200.0.1:7000"),
        expect: { listener: "virtualOutbound", cluster: "PassthroughCluster", hosts: ["10.200.0.1:7000 plain"] },
      },
      {
        name: "https-… is the application's TLS in the mesh's",
        call: tls("10.96.0.40:443", "secure.production.svc.cluster.local"),
        expect: {
          listener: "10.96.0.40_443",
          cluster: "outbound|443||secure.production…",
          hosts: ["10.244.10.1:8443 mesh", "10.244.10.2:8443 mesh"],
        },
      },
    ],
  },
  {
    name: "a sniffed port",
    cases: [
      {
        name: "HTTP",
        call: http("10.96.0.11:8080", "api:8080"),
        expect: { ...API, chain: "http", virtualHost: "api.production…:8080", route: "default", hosts: API_HOSTS },
      },
      {
        name: "HTTP with whatever host",
        call: http("10.96.0.11:8080", "example.com"),
        expect: { ...API, virtualHost: "api.production…:8080" },
      },
      { name: "bytes", call: tcp("10.96.0.11:8080"), expect: { ...API, chain: "default", hosts: API_HOSTS } },
      {
        name: "TLS of the application's own",
        call: tls("10.96.0.11:8080", "api"),
        expect: { ...API, chain: "default" },
      },
      {
        name: "the port at an address that isn't the service's",
        call: http("10.200.0.1:8080", "api"),
        expect: { listener: "virtualOutbound", cluster: "PassthroughCluster" },
      },
      {
        name: "from another namespace",
        by: "shop",
        call: http("10.96.0.11:8080", "api.production:8080"),
        expect: { ...API, chain: "http" },
      },
    ],
  },
  {
    name: "headless services",
    cases: [
      {
        name: "TCP to a pod with a sidecar",
        call: tcp("10.244.6.1:9092"),
        expect: {
          listener: "10.244.6.1_9092",
          cluster: "outbound|9092|pod.weft.dev|kafka.production…",
          hosts: ["10.244.6.1:9092 mesh"],
          sni: "outbound_.9092_._.kafka.production…",
        },
      },
      {
        name: "TCP to the next pod",
        call: tcp("10.244.6.2:9092"),
        expect: { listener: "10.244.6.2_9092", hosts: ["10.244.6.2:9092 mesh"] },
      },
      {
        name: "TCP to a pod without one",
        call: tcp("10.244.6.3:9092"),
        expect: { cluster: "outbound|9092|pod-plain.weft.dev|kafka.production…", hosts: ["10.244.6.3:9092 plain"] },
      },
      {
        name: "HTTP by the service's name is balanced",
        call: http("10.244.6.1:9093", "kafka:9093"),
        expect: {
          listener: "0.0.0.0_9093",
          virtualHost: "kafka.production…:9093",
          cluster: "outbound|9093||kafka.production…",
          hosts: ["10.244.6.1:9093 mesh", "10.244.6.2:9093 mesh", "10.244.6.3:9093 plain"],
        },
      },
      {
        name: "HTTP by a pod's name",
        call: http("10.244.6.2:9093", "kafka-1.kafka:9093"),
        expect: {
          virtualHost: "10.244.6.2:9093",
          cluster: "outbound|9093|pod.weft.dev|kafka.production…",
          hosts: ["10.244.6.2:9093 mesh"],
        },
      },
      {
        name: "HTTP by a pod's full name",
        call: http("10.244.6.2:9093", "kafka-1.kafka.production.svc.cluster.local:9093"),
        expect: { virtualHost: "10.244.6.2:9093", hosts: ["10.244.6.2:9093 mesh"] },
      },
      {
        name: "HTTP by a pod's address",
        call: http("10.244.6.1:9093", "10.244.6.1:9093"),
        expect: { virtualHost: "10.244.6.1:9093", hosts: ["10.244.6.1:9093 mesh"] },
      },
      {
        name: "HTTP by the name of a pod without sidecar",
        call: http("10.244.6.3:9093", "kafka-2.kafka:9093"),
        expect: { cluster: "outbound|9093|pod-plain.weft.dev|kafka.production…", hosts: ["10.244.6.3:9093 plain"] },
      },
      {
        name: "HTTP by a pod's name from another namespace",
        by: "shop",
        call: http("10.244.6.2:9093", "kafka-1.kafka.production:9093"),
        expect: { virtualHost: "10.244.6.2:9093", hosts: ["10.244.6.2:9093 mesh"] },
      },
      {
        name: "a pod's name that is short only at home",
        by: "shop",
        call: http("10.244.6.2:9093", "kafka-1.kafka:9093"),
        expect: { virtualHost: "allow_any", cluster: "PassthroughCluster", hosts: ["10.244.6.2:9093 plain"] },
      },
      {
        name: "a sniffed port: bytes to the pod",
        call: tcp("10.244.6.1:9094"),
        expect: { listener: "10.244.6.1_9094", chain: "default", hosts: ["10.244.6.1:9094 mesh"] },
      },
      {
        name: "a sniffed port: HTTP by a pod's name",
        call: http("10.244.6.1:9094", "kafka-0.kafka:9094"),
        expect: {
          listener: "10.244.6.1_9094",
          chain: "http",
          virtualHost: "10.244.6.1:9094",
          hosts: ["10.244.6.1:9094 mesh"],
        },
      },
      {
        name: "a sniffed port: HTTP by the service's name",
        call: http("10.244.6.1:9094", "kafka:9094"),
        expect: { virtualHost: "kafka.production…:9094", cluster: "outbound|9094||kafka.production…" },
      },
      {
        name: "a pod's address on a port that the service hasn't",
        call: tcp("10.244.6.1:9999"),
        expect: { listener: "virtualOutbound", cluster: "PassthroughCluster", hosts: ["10.244.6.1:9999 plain"] },
      },
    ],
  },
];
