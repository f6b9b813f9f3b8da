// What comes to a gateway from outside: by port, host and server name.

import type { SimCall } from "./call.ts";
import type { Theme } from "./case.ts";
import { manifestsOf } from "./mesh.ts";
import { SUBSETS, virtualService } from "./route-cases.ts";

const INGRESS = manifestsOf([
  {
    name: "ingress",
    namespace: "edge",
    ip: "10.96.0.50",
    ports: [
      { name: "http2", port: 80, target: 18_080 },
      { name: "https", port: 443, target: 18_443 },
      { name: "tcp", port: 31_400, target: 18_400 },
    ],
    pods: [],
  },
]).replace('"selector":{"app":"ingress"}', '"selector":{"istio":"ingressgateway"}');

const GATEWAY = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*.example.com", "./edge.example.org"]
  - port: {number: 80, name: http-secure, protocol: HTTP}
    hosts: [secure.example.com]
    tls: {httpsRedirect: true}
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [secure.example.com, www.example.com]
    tls: {mode: SIMPLE, credentialName: web}
  - port: {number: 443, name: https-admin, protocol: HTTPS}
    hosts: [admin.example.com]
    tls: {mode: ISTIO_MUTUAL}
  - port: {number: 443, name: tls, protocol: TLS}
    hosts: [through.example.com]
    tls: {mode: PASSTHROUGH}
  - port: {number: 31400, name: tcp, protocol: TCP}
    hosts: ["*"]
---
apiVersion: v1
kind: Secret
metadata: {name: web, namespace: edge}
type: kubernetes.io/tls
data: {tls.crt: CERTIFICATE_64, tls.key: PRIVATE_KEY_64}`;

const bound = (name: string, hosts: string, rules: string): string =>
  virtualService(
    name,
    `
  hosts: [${hosts}]
  gateways: [edge/web]
${rules}`,
  );

const MANIFESTS = [
  INGRESS,
  SUBSETS,
  GATEWAY,
  bound(
    "site",
    "www.example.com, secure.example.com, admin.example.com",
    `  http:
  - match: [{uri: {prefix: /v2}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{uri: {prefix: /old}}]
    redirect: {uri: /new}
  - match: [{port: 443, uri: {prefix: /tls-only}}]
    route: [{destination: {host: orders.shop.svc.cluster.local}}]
  - match: [{gateways: [mesh], uri: {prefix: /inside}}]
    route: [{destination: {host: nowhere}}]
  - route: [{destination: {host: web}}]`,
  ),
  bound(
    "through",
    "through.example.com",
    `  tls:
  - match: [{port: 443, sniHosts: [through.example.com]}]
    route: [{destination: {host: secure, port: {number: 443}}}]`,
  ),
  bound(
    "raw",
    '"*"',
    `  tcp:
  - match: [{port: 31400}]
    route: [{destination: {host: db}}]`,
  ),
  virtualService(
    "stranger",
    `
  hosts: [edge.example.org]
  gateways: [edge/web]
  http:
  - route: [{destination: {host: web}}]`,
  ),
].join("\n---\n");

const plain = (host: string, path = "/"): SimCall => ({
  direction: "direct",
  to: "10.244.0.30:18080",
  http: { host, path },
});
const secure = (sni: string, host = sni, path = "/", mesh = false): SimCall => ({
  direction: "direct",
  to: "10.244.0.30:18443",
  tls: { sni, alpn: ["http/1.1"], ...(mesh ? { mesh } : {}) },
  http: { host, path },
});
const WEB = {
  cluster: "outbound|80||web.production…",
  hosts: ["10.244.1.1:8080 mesh", "10.244.1.2:8080 mesh", "10.244.1.3:8080 mesh"],
};
const rule = (index: number) => ({ rule: `VirtualService production/site spec.http[${index}]` });

const FILES =
  "serverCertificate: /etc/certs/cert.pem, privateKey: /etc/certs/key.pem, caCertificates: /etc/certs/ca.pem";

const OTHERS = [
  `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: more, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 18500, name: tls-auto, protocol: TLS}
    hosts: ["*.production.svc.cluster.local"]
    tls: {mode: AUTO_PASSTHROUGH}
  - port: {number: 80, name: http, protocol: HTTP, targetPort: 18501}
    hosts: ["*.example.com"]
    defaultEndpoint: 127.0.0.1:3005
  - port: {number: 18502, name: tcp, protocol: TCP}
    hosts: ["*"]
    defaultEndpoint: 0.0.0.0:3006
  - port: {number: 18503, name: https-optional, protocol: HTTPS}
    hosts: ["*.example.com"]
    tls: {mode: OPTIONAL_MUTUAL, ${FILES}}
  - port: {number: 18504, name: https-mutual, protocol: HTTPS}
    hosts: ["*.example.com"]
    tls: {mode: MUTUAL, ${FILES}}
  - port: {number: 18505, name: https-other, protocol: HTTPS}
    hosts: ["*.example.com"]
    tls: {mode: OPTIONAL_MUTUAL, ${FILES}, subjectAltNames: ["spiffe://cluster.local/ns/other/sa/other"]}`,
  SUBSETS,
  virtualService(
    "site",
    `
  hosts: [www.example.com]
  gateways: [edge/more]
  http:
  - match: [{uri: {prefix: /v2}}]
    route: [{destination: {host: web, subset: v2}}]`,
  ),
].join("\n---\n");

const at = (port: number, call: SimCall): SimCall => ({ ...call, to: `10.244.0.30:${port}` });
const V2 = { cluster: "outbound|80|v2|web.production…", hosts: ["10.244.1.2:8080 mesh"] };

const auto = (sni: string): SimCall => ({
  direction: "direct",
  to: "10.244.0.30:18500",
  tls: { sni, alpn: ["istio-http/1.1", "istio"], mesh: true },
  http: { host: "web" },
});

export const gateways: readonly Theme[] = [
  {
    name: "a gateway's less common servers",
    by: "gateway",
    manifests: OTHERS,
    cases: [
      {
        name: "AUTO_PASSTHROUGH: the server name says which service",
        call: auto("outbound_.80_._.web.production.svc.cluster.local"),
        expect: {
          cluster: "outbound_.80_._.web.production…",
          hosts: ["10.244.1.1:8080 plain", "10.244.1.2:8080 plain", "10.244.1.3:8080 plain"],
        },
      },
      {
        name: "AUTO_PASSTHROUGH: and which subset",
        call: auto("outbound_.80_.v2_.web.production.svc.cluster.local"),
        expect: { cluster: "outbound_.80_.v2_.web.production…", hosts: ["10.244.1.2:8080 plain"] },
      },
      {
        name: "AUTO_PASSTHROUGH: only endpoints that take the mesh's TLS",
        call: auto("outbound_.80_._.mixed.production.svc.cluster.local"),
        expect: { hosts: ["10.244.5.1:8080 plain"] },
      },
      {
        name: "AUTO_PASSTHROUGH: a service that its hosts don't cover",
        call: auto("outbound_.80_._.orders.shop.svc.cluster.local"),
        expect: { error: "no filter chain: closed" },
      },
      {
        name: "AUTO_PASSTHROUGH: another server name",
        call: auto("web.production.svc.cluster.local"),
        expect: { error: "no filter chain: closed" },
      },
      {
        name: "a rule goes before the default endpoint",
        call: at(18_501, plain("www.example.com", "/v2")),
        expect: V2,
      },
      {
        name: "the default endpoint has what no rule takes",
        call: at(18_501, plain("www.example.com", "/else")),
        expect: { cluster: "inbound|80||http.more.edge", hosts: ["127.0.0.1:3005 plain"] },
      },
      {
        name: "and hosts without any rule",
        call: at(18_501, plain("other.example.com")),
        expect: { cluster: "inbound|80||http.more.edge", hosts: ["127.0.0.1:3005 plain"] },
      },
      {
        name: "but no hosts that the server hasn't",
        call: at(18_501, plain("www.example.org")),
        expect: { status: 404, error: "no virtual host" },
      },
      {
        name: "the default endpoint of TCP",
        call: at(18_502, { direction: "direct", to: "" }),
        expect: { cluster: "inbound|18502||tcp.more.edge", hosts: ["10.244.0.30:3006 plain"] },
      },
      {
        name: "OPTIONAL_MUTUAL, without a certificate",
        call: at(18_503, secure("www.example.com", "www.example.com", "/v2")),
        expect: { ...V2, endsTls: true },
      },
      {
        name: "OPTIONAL_MUTUAL, with one",
        call: at(18_503, secure("www.example.com", "www.example.com", "/v2", true)),
        expect: { ...V2, endsTls: true },
      },
      {
        name: "OPTIONAL_MUTUAL, with one of a name that isn't expected",
        call: at(18_505, secure("www.example.com", "www.example.com", "/v2", true)),
        expect: { error: "a certificate of another name: closed" },
      },
      {
        name: "OPTIONAL_MUTUAL with expected names, without a certificate",
        call: at(18_505, secure("www.example.com", "www.example.com", "/v2")),
        expect: { error: "no certificate of the mesh: closed" },
      },
      {
        name: "MUTUAL, with a certificate",
        call: at(18_504, secure("www.example.com", "www.example.com", "/v2", true)),
        expect: { ...V2, endsTls: true },
      },
      {
        name: "MUTUAL, without one",
        call: at(18_504, secure("www.example.com", "www.example.com", "/v2")),
        expect: { error: "no certificate of the mesh: closed" },
      },
    ],
  },
  {
    name: "a gateway",
    by: "gateway",
    manifests: MANIFESTS,
    cases: [
      { name: "HTTP", call: plain("www.example.com"), expect: { ...rule(4), ...WEB } },
      {
        name: "HTTP, by its rules",
        call: plain("www.example.com", "/v2"),
        expect: { ...rule(0), cluster: "outbound|80|v2|web.production…" },
      },
      { name: "HTTP, the port in the host", call: plain("www.example.com:18080"), expect: { ...rule(4), ...WEB } },
      {
        name: "HTTP, a redirect",
        call: plain("www.example.com", "/old"),
        expect: { ...rule(1), status: 301, location: "http://www.example.com/new" },
      },
      {
        name: "HTTP, a rule of the other port",
        call: plain("www.example.com", "/tls-only"),
        expect: { ...rule(4), ...WEB },
      },
      {
        name: "HTTP, a rule of the mesh's own",
        call: plain("www.example.com", "/inside"),
        expect: { ...rule(4), ...WEB },
      },
      {
        name: "HTTP, to be secure",
        call: plain("secure.example.com", "/v2"),
        expect: { status: 301, location: "https://secure.example.com/v2" },
      },
      {
        name: "HTTP, a host that no VirtualService has",
        call: plain("other.example.com"),
        expect: { status: 404, error: "no virtual host" },
      },
      {
        name: "HTTP, a host that the Gateway hasn't",
        call: plain("www.example.org"),
        expect: { status: 404, error: "no virtual host" },
      },
      {
        name: "HTTP, a host that is only for the gateway's namespace",
        call: plain("edge.example.org"),
        expect: { status: 404, error: "no virtual host" },
      },
      { name: "HTTPS", call: secure("www.example.com"), expect: { ...rule(4), ...WEB, endsTls: true } },
      {
        name: "HTTPS, where HTTP is redirected",
        call: secure("secure.example.com", "secure.example.com", "/v2"),
        expect: { ...rule(0), cluster: "outbound|80|v2|web.production…" },
      },
      {
        name: "HTTPS, a rule of its port",
        call: secure("www.example.com", "www.example.com", "/tls-only"),
        expect: { ...rule(2), cluster: "outbound|80||orders.shop…" },
      },
      {
        name: "HTTPS, another host of the same server",
        call: secure("www.example.com", "secure.example.com"),
        expect: { ...rule(4), ...WEB },
      },
      {
        name: "HTTPS, a host of another server",
        call: secure("www.example.com", "admin.example.com"),
        expect: { route: "misdirected", status: 421 },
      },
      {
        name: "HTTPS, an unknown host",
        call: secure("www.example.com", "www.example.org"),
        expect: { status: 404, error: "no virtual host" },
      },
      {
        name: "HTTPS, an unknown server name",
        call: secure("www.example.org"),
        expect: { error: "no filter chain: closed" },
      },
      {
        name: "HTTPS, with the mesh's certificate",
        call: secure("admin.example.com", "admin.example.com", "/", true),
        expect: { ...rule(4), ...WEB, endsTls: true },
      },
      {
        name: "HTTPS, without the certificate that is asked for",
        call: secure("admin.example.com"),
        expect: { error: "no certificate of the mesh: closed" },
      },
      {
        name: "plaintext on the TLS port",
        call: { ...plain("www.example.com"), to: "10.244.0.30:18443" },
        expect: { error: "no filter chain: closed" },
      },
      {
        name: "PASSTHROUGH",
        call: secure("through.example.com"),
        expect: {
          cluster: "outbound|443||secure.production…",
          hosts: ["10.244.10.1:8443 mesh", "10.244.10.2:8443 mesh"],
        },
      },
      {
        name: "TCP",
        call: { direction: "direct", to: "10.244.0.30:18400" },
        expect: { cluster: "outbound|5432||db.production…", hosts: ["10.244.3.1:5432 mesh", "10.244.3.2:5432 mesh"] },
      },
      {
        name: "a port that nothing serves",
        call: { direction: "direct", to: "10.244.0.30:18999" },
        expect: { error: "nothing listens there" },
      },
    ],
  },
];
