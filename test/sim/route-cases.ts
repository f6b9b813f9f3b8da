// Where HTTP is routed: a VirtualService's matches, their order, and what its rules do.

import type { HttpCall } from "./call.ts";
import { http, type SimCase, type Theme } from "./case.ts";

export const SUBSETS = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: production}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: v3, labels: {version: v3}}]}`;

export const virtualService = (name: string, spec: string, namespace = "production"): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: ${namespace}}
spec:${spec}`;

const cluster = (subset: string): string => `outbound|80|${subset}|web.production…`;
const web = (more: Omit<HttpCall, "host"> = {}) => http("10.96.0.10:80", "web", more);
const toRule = (index: number) => ({ rule: `VirtualService production/web spec.http[${index}]` });
const row = (name: string, call: Omit<HttpCall, "host">, expect: SimCase["expect"]): SimCase => ({
  name,
  call: web(call),
  expect,
});

export const MATCHES = virtualService(
  "web",
  `
  hosts: [web]
  http:
  - match: [{uri: {exact: /exact}}]
    route: [{destination: {host: web, subset: v1}}]
  - match: [{uri: {prefix: /prefix}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{uri: {regex: "/item/[0-9]+(/.*)?"}}]
    route: [{destination: {host: web, subset: v3}}]
  - match: [{uri: {exact: /Case}, ignoreUriCase: true}]
    route: [{destination: {host: web, subset: v1}}]
  - match: [{method: {exact: DELETE}}, {method: {regex: "P.*"}, uri: {prefix: /write}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{headers: {x-user: {exact: alice}, x-group: {prefix: ad}}}]
    route: [{destination: {host: web, subset: v1}}]
  - match: [{headers: {x-version: {regex: "v[23]"}}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{headers: {x-any: {}}, withoutHeaders: {x-not: {}}}]
    route: [{destination: {host: web, subset: v3}}]
  - match: [{uri: {prefix: /without}, withoutHeaders: {x-user: {exact: bob}}}]
    route: [{destination: {host: web, subset: v1}}]
  - match: [{queryParams: {a: {exact: "1"}, b: {regex: ".+"}}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{queryParams: {c: {prefix: x}}}]
    route: [{destination: {host: web, subset: v3}}]
  - match: [{authority: {prefix: web.production}}]
    route: [{destination: {host: web, subset: v1}}]
  - match: [{port: 9090}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{uri: {prefix: /prefix/longer}}]
    route: [{destination: {host: web, subset: v1}}]
  - match: [{scheme: {exact: https}}]
    route: [{destination: {host: web, subset: v3}}]
  - match: [{uri: {prefix: /last}}]
    route: [{destination: {host: web, subset: v3}}]`,
);

const matches: Theme = {
  name: "HTTP matches",
  manifests: `${SUBSETS}\n---${MATCHES}`,
  cases: [
    row(
      "uri exact",
      { path: "/exact" },
      {
        ...toRule(0),
        cluster: cluster("v1"),
        hosts: ["10.244.1.1:8080 mesh"],
        sni: "outbound_.80_.v1_.web.production…",
      },
    ),
    row("uri exact takes no more", { path: "/exact/more" }, { status: 404, error: "no route" }),
    row("uri exact looks before the query", { path: "/exact?a=b" }, { ...toRule(0), path: "/exact?a=b" }),
    row("uri exact minds the case", { path: "/EXACT" }, { status: 404, error: "no route" }),
    row("uri prefix", { path: "/prefix/a" }, { ...toRule(1), cluster: cluster("v2"), hosts: ["10.244.1.2:8080 mesh"] }),
    row("uri prefix is no path prefix", { path: "/prefixed" }, toRule(1)),
    row("the first rule that fits, not the longest", { path: "/prefix/longer" }, toRule(1)),
    row("uri regex", { path: "/item/42" }, { ...toRule(2), cluster: cluster("v3") }),
    row("uri regex takes the whole path", { path: "/item/42x" }, { status: 404, error: "no route" }),
    row("uri regex with a rest", { path: "/item/42/parts" }, toRule(2)),
    row("ignoreUriCase", { path: "/cAsE" }, toRule(3)),
    row("method", { method: "DELETE", path: "/x" }, toRule(4)),
    row("method and uri: both", { method: "PUT", path: "/write/x" }, toRule(4)),
    row("method and uri: one of them", { method: "PUT", path: "/x" }, { status: 404, error: "no route" }),
    row("headers: both", { headers: { "x-user": "alice", "x-group": "admins" } }, toRule(5)),
    row("headers: one of them", { headers: { "x-user": "alice" } }, { status: 404, error: "no route" }),
    row(
      "headers: another value",
      { headers: { "x-user": "alicea", "x-group": "admins" } },
      { status: 404, error: "no route" },
    ),
    row("headers: a name in capitals", { headers: { "X-User": "alice", "X-Group": "admins" } }, toRule(5)),
    row("headers regex", { headers: { "x-version": "v3" } }, toRule(6)),
    row("headers regex takes the whole value", { headers: { "x-version": "v33" } }, { status: 404, error: "no route" }),
    row("headers: is there", { headers: { "x-any": "" } }, toRule(7)),
    row("withoutHeaders: is there", { headers: { "x-any": "1", "x-not": "1" } }, { status: 404, error: "no route" }),
    row("withoutHeaders: absent", { path: "/without" }, toRule(8)),
    row("withoutHeaders: another value", { path: "/without", headers: { "x-user": "carol" } }, toRule(8)),
    row(
      "withoutHeaders: the value",
      { path: "/without", headers: { "x-user": "bob" } },
      { status: 404, error: "no route" },
    ),
    row("queryParams: both", { path: "/?a=1&b=2" }, toRule(9)),
    row("queryParams: in any order, with others", { path: "/?z&b=2&a=1" }, toRule(9)),
    row("queryParams: one of them", { path: "/?a=1" }, { status: 404, error: "no route" }),
    row("queryParams: another value", { path: "/?a=2&b=2" }, { status: 404, error: "no route" }),
    row("queryParams prefix", { path: "/?c=xy" }, toRule(10)),
    { name: "authority", call: http("10.96.0.10:80", "web.production"), expect: toRule(11) },
    {
      name: "authority: another",
      call: http("10.96.0.10:80", "10.96.0.10"),
      expect: { status: 404, error: "no route" },
    },
    row("port: this is another", { path: "/" }, { status: 404, error: "no route" }),
    row("scheme: this is http", { path: "/scheme" }, { status: 404, error: "no route" }),
    row("the last rule", { path: "/last" }, toRule(15)),
    {
      name: "from another namespace the same rules",
      by: "shop",
      call: http("10.96.0.10:80", "web.production", { path: "/exact" }),
      expect: toRule(0),
    },
  ],
};

const ACTIONS = virtualService(
  "web",
  `
  hosts: [web]
  http:
  - match: [{uri: {prefix: /old/}}]
    rewrite: {uri: /new/}
    route: [{destination: {host: web, subset: v1}}]
  - match: [{uri: {exact: /host}}]
    rewrite: {authority: example.com}
    route: [{destination: {host: web, subset: v1}}]
  - match: [{uri: {prefix: /users/}}]
    rewrite: {uriRegexRewrite: {match: "/users/([^/]+)/(.*)", rewrite: "/\\\\2/of/\\\\1"}}
    route: [{destination: {host: web, subset: v1}}]
  - match: [{uri: {regex: "/r[0-9]/.*"}}]
    rewrite: {uri: /rewritten}
    route: [{destination: {host: web, subset: v1}}]
  - match: [{uri: {exact: /header-host}}]
    headers: {request: {set: {Host: set.example.com}}}
    route: [{destination: {host: web, subset: v1}}]
  - match: [{uri: {prefix: /redirect/all}}]
    redirect: {uri: /there, authority: elsewhere.example.com, redirectCode: 302}
  - match: [{uri: {prefix: /redirect/path}}]
    redirect: {uri: /there}
  - match: [{uri: {prefix: /redirect/port}}]
    redirect: {authority: other.example.com, port: 8443, scheme: https, redirectCode: 308}
  - match: [{uri: {prefix: /redirect/derived}}]
    redirect: {authority: other.example.com, derivePort: FROM_REQUEST_PORT, redirectCode: 307}
  - match: [{uri: {prefix: /redirect/scheme}}]
    redirect: {scheme: https, redirectCode: 303}
  - match: [{uri: {exact: /fixed}}]
    directResponse: {status: 418, body: {string: "a teapot"}}
  - match: [{uri: {exact: /bare}}]
    directResponse: {status: 204}
  - match: [{uri: {exact: /fault}}]
    fault: {abort: {httpStatus: 429, percentage: {value: 100}}}
    route: [{destination: {host: web, subset: v1}}]
  - match: [{uri: {exact: /mirror}}]
    mirror: {host: web, subset: v3}
    route: [{destination: {host: web, subset: v1}}]
  - match: [{uri: {exact: /mirrors}}]
    mirrors: [{destination: {host: web, subset: v2}, percentage: {value: 50}}, {destination: {host: legacy}}]
    route: [{destination: {host: web, subset: v1}}]
  - match: [{uri: {exact: /canary}}]
    route: [{destination: {host: web, subset: v1}, weight: 90}, {destination: {host: web, subset: v2}, weight: 10}]
  - match: [{uri: {exact: /all}}]
    route: [{destination: {host: web, subset: v1}, weight: 100}, {destination: {host: web, subset: v2}, weight: 0}]
  - match: [{uri: {exact: /none}}]
    route: [{destination: {host: web, subset: v1}, weight: 0}, {destination: {host: web, subset: v2}, weight: 100}]
  - match: [{uri: {exact: /service}}]
    route: [{destination: {host: orders.shop.svc.cluster.local}}]
  - match: [{uri: {exact: /port}}]
    route: [{destination: {host: api, port: {number: 8080}}}]
  - match: [{uri: {exact: /one-port}}]
    route: [{destination: {host: api}}]
  - match: [{uri: {exact: /no-port}}]
    route: [{destination: {host: ports, port: {number: 1}}}]
  - match: [{uri: {exact: /no-subset}}]
    route: [{destination: {host: web, subset: v9}}]
  - match: [{uri: {exact: /no-service}}]
    route: [{destination: {host: nowhere}}]
  - match: [{uri: {exact: /half}}]
    route: [{destination: {host: web, subset: v1}, weight: 50}, {destination: {host: nowhere}, weight: 50}]
  - name: named
    match: [{uri: {exact: /named}, name: here}]
    route: [{destination: {host: web, subset: v2}}]
  - name: rest
    route: [{destination: {host: web, subset: v3}}]
  - match: [{uri: {exact: /never}}]
    route: [{destination: {host: web, subset: v1}}]`,
);

const actions: Theme = {
  name: "what HTTP rules do",
  manifests: `${SUBSETS}\n---${ACTIONS}`,
  cases: [
    row("rewrite of the prefix", { path: "/old/a?b" }, { ...toRule(0), path: "/new/a?b", authority: "web" }),
    row("rewrite of the authority", { path: "/host" }, { ...toRule(1), path: "/host", authority: "example.com" }),
    row("rewrite by a regular expression", { path: "/users/alice/books" }, { ...toRule(2), path: "/books/of/alice" }),
    row("rewrite of what an expression matched", { path: "/r1/x?q" }, { ...toRule(3), path: "/rewritten?q" }),
    row("the host as a header", { path: "/header-host" }, { ...toRule(4), authority: "set.example.com" }),
    row(
      "redirect to another host and path",
      { path: "/redirect/all" },
      { ...toRule(5), status: 302, location: "http://elsewhere.example.com/there" },
    ),
    row(
      "redirect to another path, with the query",
      { path: "/redirect/path?a=b" },
      { ...toRule(6), status: 301, location: "http://web/there?a=b" },
    ),
    row(
      "redirect to another port and scheme",
      { path: "/redirect/port" },
      { ...toRule(7), status: 308, location: "https://other.example.com:8443/redirect/port" },
    ),
    row(
      "redirect with the port of the request",
      { path: "/redirect/derived" },
      { ...toRule(8), status: 307, location: "http://other.example.com:80/redirect/derived" },
    ),
    row(
      "redirect to another scheme",
      { path: "/redirect/scheme" },
      { ...toRule(9), status: 303, location: "https://web/redirect/scheme" },
    ),
    row("a direct response", { path: "/fixed" }, { ...toRule(10), status: 418, body: "a teapot" }),
    row("a direct response without a body", { path: "/bare" }, { ...toRule(11), status: 204 }),
    row("a fault for all", { path: "/fault" }, { ...toRule(12), status: 429 }),
    row("a mirror", { path: "/mirror" }, { ...toRule(13), cluster: cluster("v1"), mirrors: [cluster("v3")] }),
    row(
      "two mirrors",
      { path: "/mirrors" },
      { ...toRule(14), mirrors: [cluster("v2"), "outbound|80||legacy.production…"] },
    ),
    row(
      "weights",
      { path: "/canary" },
      {
        ...toRule(15),
        clusters: { [cluster("v1")]: 90, [cluster("v2")]: 10 },
        hosts: ["10.244.1.1:8080 mesh", "10.244.1.2:8080 mesh"],
      },
    ),
    row(
      "weights: all or nothing",
      { path: "/all" },
      { ...toRule(16), cluster: cluster("v1"), hosts: ["10.244.1.1:8080 mesh"] },
    ),
    row("weights: nothing or all", { path: "/none" }, { ...toRule(17), hosts: ["10.244.1.2:8080 mesh"] }),
    row(
      "another service",
      { path: "/service" },
      { ...toRule(18), cluster: "outbound|80||orders.shop…", hosts: ["10.244.8.1:8080 mesh"] },
    ),
    row("another service's port", { path: "/port" }, { ...toRule(19), cluster: "outbound|8080||api.production…" }),
    row(
      "another service's only port",
      { path: "/one-port" },
      { ...toRule(20), cluster: "outbound|8080||api.production…" },
    ),
    row(
      "a port that isn't there",
      { path: "/no-port" },
      { ...toRule(21), status: 503, error: "service ports.production… has no port 1" },
    ),
    row(
      "a subset that isn't there",
      { path: "/no-subset" },
      { ...toRule(22), status: 503, error: "subset v9 of web.production… is not defined by any DestinationRule" },
    ),
    row(
      "a service that isn't there",
      { path: "/no-service" },
      { ...toRule(23), status: 503, error: "host nowhere.production… is not a service of the mesh" },
    ),
    {
      ...row(
        "a half that leads nowhere",
        { path: "/half" },
        {
          ...toRule(24),
          status: 503,
          error: "host nowhere.production… is not a service of the mesh",
          hosts: ["10.244.1.1:8080 mesh"],
        },
      ),
      onlySimulated: "half of the requests fail",
    },
    row("names", { path: "/named" }, { ...toRule(25), route: "named.here", cluster: cluster("v2") }),
    row(
      "a rule without match takes the rest",
      { path: "/anything" },
      { ...toRule(26), route: "rest", cluster: cluster("v3") },
    ),
    row("what stands behind it is never reached", { path: "/never" }, { ...toRule(26), cluster: cluster("v3") }),
  ],
};

const CLIENTS = virtualService(
  "web",
  `
  hosts: [web]
  http:
  - match: [{sourceLabels: {track: canary}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{sourceNamespace: shop, uri: {prefix: /shop}}]
    route: [{destination: {host: web, subset: v3}}]
  - match: [{gateways: [shop/outside]}]
    route: [{destination: {host: web, subset: v3}}]
  - match: [{gateways: [mesh], uri: {prefix: /mesh}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{sourceLabels: {track: canary, app: other}, uri: {prefix: /both}}]
    route: [{destination: {host: web, subset: v3}}]
  - route: [{destination: {host: web, subset: v1}}]`,
);

const clients: Theme = {
  name: "rules for some clients",
  manifests: `${SUBSETS}\n---${CLIENTS}`,
  cases: [
    { name: "sourceLabels: one of them", by: "canary", call: web(), expect: { ...toRule(0), cluster: cluster("v2") } },
    { name: "sourceLabels: another", call: web(), expect: { ...toRule(5), cluster: cluster("v1") } },
    { name: "sourceLabels: all have to fit", call: web({ path: "/both" }), expect: toRule(5) },
    {
      name: "sourceNamespace: from there",
      by: "shop",
      call: http("10.96.0.10:80", "web.production", { path: "/shop" }),
      expect: { ...toRule(1), cluster: cluster("v3") },
    },
    { name: "sourceNamespace: from elsewhere", call: web({ path: "/shop" }), expect: toRule(5) },
    { name: "gateways: mesh", call: web({ path: "/mesh" }), expect: { ...toRule(3), cluster: cluster("v2") } },
  ],
};

export const routes: readonly Theme[] = [matches, actions, clients];
