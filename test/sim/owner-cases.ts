// Which VirtualService a host follows: wildcards, age, exportTo, delegation, hosts that no service has.

import { http, type SimCase, type Theme } from "./case.ts";
import { SUBSETS, virtualService } from "./route-cases.ts";

const cluster = (subset: string): string => `outbound|80|${subset}|web.production…`;
const of = (name: string, index = 0) => ({ rule: `VirtualService ${name} spec.http[${index}]` });
const to = (subset: string, host = "web"): string => `
  hosts: ["${host}"]
  http:
  - route: [{destination: {host: web.production.svc.cluster.local, subset: ${subset}}}]`;
const web = (path = "/") => http("10.96.0.10:80", "web", { path });
const foreign = (host: string) => http("10.200.0.1:80", host);

const dated = (document: string, date: string): string =>
  document.replace("metadata: {", `metadata: {creationTimestamp: "${date}", `);

const owners: Theme = {
  name: "which VirtualService holds",
  manifests: [
    SUBSETS,
    dated(virtualService("younger", to("v2")), "2026-02-01T00:00:00Z"),
    dated(virtualService("older", to("v1")), "2026-01-01T00:00:00Z"),
    virtualService("everything", to("v3", "*.production.svc.cluster.local")),
    virtualService(
      "orders",
      `
  hosts: [orders.shop.svc.cluster.local]
  exportTo: [.]
  http:
  - route: [{destination: {host: web, subset: v2}}]`,
    ),
    virtualService(
      "unseen",
      `
  hosts: [unseen.example.com]
  http:
  - route: [{destination: {host: hidden.shop.svc.cluster.local}}]`,
    ),
    virtualService(
      "gateway",
      `
  hosts: [mixed]
  gateways: [outside]
  http:
  - route: [{destination: {host: web, subset: v1}}]`,
    ),
    virtualService(
      "both",
      `
  hosts: [legacy]
  gateways: [outside, mesh]
  http:
  - route: [{destination: {host: web, subset: v1}}]`,
    ),
    virtualService(
      "empty",
      `
  hosts: [ports]
  http:
  - match: [{uri: {prefix: /only}}]
    route: [{destination: {host: web, subset: v1}}]`,
    ),
  ].join("\n---"),
  cases: [
    { name: "the older of two", call: web(), expect: { ...of("production/older"), cluster: cluster("v1") } },
    {
      name: "a wildcard, where no other has the host",
      call: http("10.96.0.30:80", "empty"),
      expect: { ...of("production/everything"), cluster: cluster("v3") },
    },
    {
      name: "exported to its own namespace: there",
      call: http("10.96.0.20:80", "orders.shop"),
      expect: { ...of("production/orders"), cluster: cluster("v2") },
    },
    {
      name: "exported to its own namespace: elsewhere",
      by: "shop",
      call: http("10.96.0.20:80", "orders"),
      expect: { route: "default", cluster: "outbound|80||orders.shop…" },
    },
    {
      name: "a destination that is not exported to the client",
      call: http("10.96.0.12:80", "unseen.example.com"),
      expect: { ...of("production/unseen"), status: 503, error: "host hidden.shop… is not exported to production" },
    },
    {
      name: "of a gateway only",
      call: http("10.96.0.14:80", "mixed"),
      expect: { ...of("production/everything"), cluster: cluster("v3") },
    },
    {
      name: "of a gateway and the mesh",
      call: http("10.96.0.13:80", "legacy"),
      expect: { ...of("production/both"), cluster: cluster("v1") },
    },
    {
      name: "a host whose rules don't fit gets nothing else",
      call: http("10.96.0.15:80", "ports"),
      expect: { status: 404, error: "no route" },
    },
  ],
};

const foreignHosts: Theme = {
  name: "hosts that no service has",
  manifests: [
    SUBSETS,
    virtualService("exact", to("v1", "www.example.com")),
    virtualService("wild", to("v2", "*.example.com")),
    virtualService("wilder", to("v3", "*.com")),
    virtualService("short", to("v3", "virtual")),
  ].join("\n---"),
  cases: [
    {
      name: "exactly",
      call: foreign("www.example.com"),
      expect: { ...of("production/exact"), cluster: cluster("v1") },
    },
    {
      name: "by a wildcard",
      call: foreign("api.example.com"),
      expect: { ...of("production/wild"), cluster: cluster("v2") },
    },
    {
      name: "by a wildcard, more labels",
      call: foreign("a.b.example.com"),
      expect: { ...of("production/wild"), cluster: cluster("v2") },
    },
    {
      name: "by the shorter wildcard",
      call: foreign("example.com"),
      expect: { ...of("production/wilder"), cluster: cluster("v3") },
    },
    { name: "none", call: foreign("example.org"), expect: { virtualHost: "allow_any" } },
    { name: "with the port", call: foreign("www.example.com:80"), expect: of("production/exact") },
    {
      name: "a short name is one of the namespace",
      call: foreign("virtual.production.svc.cluster.local"),
      expect: { ...of("production/short"), cluster: cluster("v3") },
    },
    { name: "from another namespace", by: "shop", call: foreign("www.example.com"), expect: of("production/exact") },
  ],
};

const delegated = (name: string, path: string, body: string): SimCase["expect"] => ({
  status: 503,
  body: `VirtualService production/web spec.http[${path}] delegates, but VirtualService ${name} ${body}\n`,
});

const delegation: Theme = {
  name: "delegation",
  manifests: [
    SUBSETS,
    virtualService(
      "web",
      `
  hosts: [web]
  http:
  - match: [{uri: {prefix: /team}}]
    delegate: {name: team}
  - match: [{uri: {prefix: /shop}, headers: {x-user: {exact: alice}}}]
    delegate: {name: far, namespace: shop}
  - match: [{uri: {prefix: /gone}}]
    delegate: {name: gone}
  - match: [{uri: {prefix: /private}}]
    delegate: {name: private, namespace: shop}
  - match: [{uri: {prefix: /rooted}}]
    delegate: {name: rooted}
  - route: [{destination: {host: web, subset: v1}}]`,
    ),
    virtualService(
      "team",
      `
  http:
  - match: [{uri: {prefix: /team/a}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{uri: {prefix: /elsewhere}}]
    route: [{destination: {host: web, subset: v2}}]
  - route: [{destination: {host: web, subset: v3}}]`,
    ),
    virtualService(
      "far",
      `
  http:
  - match: [{uri: {exact: /shop/x}, method: {exact: GET}}]
    route: [{destination: {host: orders}}]`,
      "shop",
    ),
    virtualService(
      "private",
      `
  exportTo: [.]
  http:
  - route: [{destination: {host: orders}}]`,
      "shop",
    ),
    virtualService("rooted", to("v3", "www.example.com")),
  ].join("\n---"),
  cases: [
    {
      name: "to a rule of the delegate",
      call: web("/team/a/1"),
      expect: { ...of("production/team"), cluster: cluster("v2") },
    },
    {
      name: "to the delegate's rest",
      call: web("/team/b"),
      expect: { ...of("production/team", 2), cluster: cluster("v3") },
    },
    {
      name: "beyond the root's match the delegate has no say",
      call: web("/elsewhere"),
      expect: { ...of("production/web", 5), cluster: cluster("v1") },
    },
    {
      name: "both matches together, in the delegate's namespace",
      call: http("10.96.0.10:80", "web", { path: "/shop/x", headers: { "x-user": "alice" } }),
      expect: { ...of("shop/far"), cluster: "outbound|80||orders.shop…" },
    },
    { name: "both matches together: one fails", call: web("/shop/x"), expect: of("production/web", 5) },
    {
      name: "a delegate that isn't there",
      call: web("/gone"),
      expect: delegated("production/gone", "2", "does not exist"),
    },
    {
      name: "a delegate that isn't exported",
      call: web("/private"),
      expect: delegated("shop/private", "3", "is not exported to namespace production"),
    },
    {
      name: "a delegate with hosts of its own",
      call: web("/rooted"),
      expect: delegated("production/rooted", "4", "has hosts of its own, so it is no delegate"),
    },
    { name: "the root's rest", call: web("/"), expect: { ...of("production/web", 5), cluster: cluster("v1") } },
  ],
};

export const ownership: readonly Theme[] = [owners, foreignHosts, delegation];
