// The explicit mode: the application names the proxy, and host and port of the request say where it goes.

import type { SimCase, Theme } from "./case.ts";
import { viaProxy } from "./case.ts";
import { MATCHES, SUBSETS } from "./route-cases.ts";

const WEB = { listener: "http_proxy", virtualHost: "web.production…:80" };
const NOT_OURS: SimCase["expect"] = { listener: "http_proxy", virtualHost: "block_all", status: 502 };

export const explicit: readonly Theme[] = [
  {
    name: "explicit mode",
    by: "explicit",
    manifests: `${SUBSETS}\n---${MATCHES}`,
    cases: [
      {
        name: "a service",
        call: viaProxy("orders.shop"),
        expect: {
          listener: "http_proxy",
          virtualHost: "orders.shop…:80",
          cluster: "outbound|80||orders.shop…",
          hosts: ["10.244.8.1:15006 mesh"],
          sni: "inbound-8080.weft.internal",
        },
      },
      { name: "with its port", call: viaProxy("orders.shop:80"), expect: { cluster: "outbound|80||orders.shop…" } },
      {
        name: "by its rules",
        call: viaProxy("web", { path: "/exact" }),
        expect: { ...WEB, cluster: "outbound|80|v1|web.production…", hosts: ["10.244.1.1:15006 mesh"] },
      },
      {
        name: "where no rule fits",
        call: viaProxy("web", { path: "/other" }),
        expect: { ...WEB, status: 404, error: "no route" },
      },
      {
        name: "another port",
        call: viaProxy("api:8080"),
        expect: {
          virtualHost: "api.production…:8080",
          hosts: ["10.244.2.1:15006 mesh", "10.244.2.2:15006 mesh"],
          sni: "inbound-8080.weft.internal",
        },
      },
      { name: "without the port that it has", call: viaProxy("api"), expect: NOT_OURS },
      { name: "a pod without a sidecar", call: viaProxy("legacy"), expect: { hosts: ["10.244.4.1:8080 plain"] } },
      {
        name: "a target port of another number",
        call: viaProxy("ports:9090"),
        expect: { hosts: ["10.244.7.1:15006 mesh"], sni: "inbound-9091.weft.internal" },
      },
      { name: "a port that is not for HTTP", call: viaProxy("db:5432"), expect: NOT_OURS },
      {
        name: "a headless service",
        call: viaProxy("kafka:9093"),
        expect: { cluster: "outbound|9093||kafka.production…" },
      },
      { name: "a foreign host", call: viaProxy("example.com"), expect: NOT_OURS },
      { name: "a service that is not exported", call: viaProxy("hidden.shop"), expect: NOT_OURS },
      {
        name: "a service without endpoints",
        call: viaProxy("empty"),
        expect: { status: 503, error: "no endpoint of outbound|80||empty.production…" },
      },
    ],
  },
];
