// What arrives at a pod: by the mesh's TLS, by foreign TLS or in the clear, under each mode of PeerAuthentication.

import type { SimCall } from "./call.ts";
import { foreignTls, meshHttp, meshTcp, plainHttp, plainTcp, type SimCase, type Theme } from "./case.ts";

const NO_CERTIFICATE = "no certificate of the mesh: closed";
const NO_CHAIN = "no filter chain: closed";
const NOT_HTTP = "not HTTP: 400 or closed";

const policy = (name: string, spec: string, namespace = "production"): string => `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}`;

/** To the application at its own address. */
const own = (chain: string, port: number, to: string) => ({
  listener: "virtualInbound",
  chain: `0.0.0.0_${port}-${chain}`,
  cluster: `inbound|${port}||`,
  hosts: [`${to} plain`],
});
const web = (chain: string) => own(chain, 8080, "10.244.1.1:8080");
const api = (chain: string) => own(chain, 8080, "10.244.2.1:8080");
const db = (chain: string) => own(chain, 5432, "10.244.3.1:5432");
const other = (chain: string, to: string) => ({
  chain: `virtualInbound-catchall-${chain}`,
  cluster: "InboundPassthroughCluster",
  hosts: [`${to} plain`],
});
const refused = (error: string) => ({ listener: "virtualInbound", error });

const WEB = "10.244.1.1:8080";
const API = "10.244.2.1:8080";
const DB = "10.244.3.1:5432";

const one = (name: string, by: SimCase["by"] & string, call: SimCall, expect: SimCase["expect"]): SimCase => ({
  name,
  by,
  call,
  expect,
});

/** In explicit mode the server name says which port is meant. */
const named = (port: number, call: SimCall): SimCall => ({
  ...call,
  direction: "direct",
  to: "10.244.2.1:15006",
  tls: { ...call.tls, sni: `inbound-${port}.weft.internal` },
});

export const inbound: readonly Theme[] = [
  {
    name: "inbound, PERMISSIVE by default",
    cases: [
      one("declared HTTP: mesh", "web", meshHttp(WEB), {
        ...web("mtls-http"),
        virtualHost: "inbound|http|8080",
        route: "default",
      }),
      one("declared HTTP: plaintext", "web", plainHttp(WEB), { ...web("http"), virtualHost: "inbound|http|8080" }),
      one("declared HTTP: foreign TLS passes through to the application", "web", foreignTls(WEB), web("tls")),
      one("declared HTTP: bytes in the mesh's TLS", "web", meshTcp(WEB), refused(NOT_HTTP)),
      one("declared HTTP: plain bytes", "web", plainTcp(WEB), refused(NOT_HTTP)),
      one("declared HTTP: whatever host", "web", meshHttp(WEB, "example.com"), {
        ...web("mtls-http"),
        authority: "example.com",
      }),
      one("sniffed: HTTP in the mesh's TLS", "api", meshHttp(API), {
        ...api("mtls-http"),
        virtualHost: "inbound|http|8080",
      }),
      one("sniffed: bytes in the mesh's TLS", "api", meshTcp(API), api("mtls-tcp")),
      one("sniffed: plain HTTP", "api", plainHttp(API), { ...api("http"), virtualHost: "inbound|http|8080" }),
      one("sniffed: plain bytes", "api", plainTcp(API), api("tcp")),
      one("sniffed: foreign TLS", "api", foreignTls(API), api("tls")),
      one("declared TCP: bytes in the mesh's TLS", "db", meshTcp(DB), db("mtls-tcp")),
      one("declared TCP: HTTP in the mesh's TLS is bytes too", "db", meshHttp(DB), db("mtls-tcp")),
      one("declared TCP: plain bytes", "db", plainTcp(DB), db("tcp")),
      one("declared TCP: plain HTTP is bytes too", "db", plainHttp(DB), db("tcp")),
      one("declared TCP: foreign TLS", "db", foreignTls(DB), db("tls")),
      one(
        "a port that no Service names: HTTP in the mesh's TLS",
        "web",
        meshHttp("10.244.1.1:9999"),
        other("mtls-http", "10.244.1.1:9999"),
      ),
      one(
        "a port that no Service names: bytes in the mesh's TLS",
        "web",
        meshTcp("10.244.1.1:9999"),
        other("mtls-tcp", "10.244.1.1:9999"),
      ),
      one(
        "a port that no Service names: plain HTTP",
        "web",
        plainHttp("10.244.1.1:9999"),
        other("http", "10.244.1.1:9999"),
      ),
      one(
        "a port that no Service names: plain bytes",
        "web",
        plainTcp("10.244.1.1:9999"),
        other("tcp", "10.244.1.1:9999"),
      ),
      one(
        "a port that no Service names: foreign TLS",
        "web",
        foreignTls("10.244.1.1:9999"),
        other("tls", "10.244.1.1:9999"),
      ),
      one("the service's port is not the pod's", "web", plainHttp("10.244.1.1:80"), other("http", "10.244.1.1:80")),
      one("the proxy's own port is no way in", "web", plainTcp("10.244.1.1:15006"), {
        chain: "virtualInbound-blackhole",
        error: "no endpoint of BlackHoleCluster",
      }),
      one(
        "appProtocol tcp goes before the name",
        "ports",
        plainHttp("10.244.7.1:8501"),
        own("tcp", 8501, "10.244.7.1:8501"),
      ),
      one("appProtocol http", "ports", meshHttp("10.244.7.1:8500"), own("mtls-http", 8500, "10.244.7.1:8500")),
      one(
        "a target port of another number",
        "ports",
        meshHttp("10.244.7.1:9091"),
        own("mtls-http", 9091, "10.244.7.1:9091"),
      ),
    ],
  },
  {
    name: "inbound, STRICT in the namespace",
    manifests: policy("default", "{mtls: {mode: STRICT}}"),
    cases: [
      one("declared HTTP: mesh", "web", meshHttp(WEB), web("mtls-http")),
      one("declared HTTP: plaintext", "web", plainHttp(WEB), refused(NO_CHAIN)),
      one("declared HTTP: TLS without certificate", "web", foreignTls(WEB), refused(NO_CERTIFICATE)),
      one("sniffed: HTTP in the mesh's TLS", "api", meshHttp(API), {
        ...api("mtls-http"),
        virtualHost: "inbound|http|8080",
      }),
      one("sniffed: bytes in the mesh's TLS", "api", meshTcp(API), api("mtls-tcp")),
      one("sniffed: plain HTTP", "api", plainHttp(API), refused(NO_CHAIN)),
      one("sniffed: plain bytes", "api", plainTcp(API), refused(NO_CHAIN)),
      one("sniffed: TLS without certificate", "api", foreignTls(API), refused(NO_CERTIFICATE)),
      one("declared TCP: mesh", "db", meshTcp(DB), db("mtls-tcp")),
      one("declared TCP: plain", "db", plainTcp(DB), refused(NO_CHAIN)),
      one(
        "a port that no Service names: mesh",
        "web",
        meshTcp("10.244.1.1:9999"),
        other("mtls-tcp", "10.244.1.1:9999"),
      ),
      one("a port that no Service names: plain", "web", plainTcp("10.244.1.1:9999"), refused(NO_CHAIN)),
    ],
  },
  {
    name: "inbound, DISABLE in the namespace",
    manifests: policy("default", "{mtls: {mode: DISABLE}}"),
    cases: [
      one("declared HTTP: plaintext", "web", plainHttp(WEB), web("http")),
      one("declared HTTP: the mesh's TLS is nobody's here", "web", meshHttp(WEB), refused(NOT_HTTP)),
      one("declared TCP: plain", "db", plainTcp(DB), db("tcp")),
      one("declared TCP: TLS is the application's", "db", foreignTls(DB), db("tcp")),
      one("sniffed: plain HTTP", "api", plainHttp(API), api("http")),
      one("sniffed: plain bytes", "api", plainTcp(API), api("tcp")),
      one("sniffed: TLS is the application's", "api", foreignTls(API), api("tls")),
    ],
  },
  {
    name: "inbound, whose mode holds",
    manifests: [
      policy("default", "{mtls: {mode: STRICT}}", "istio-system"),
      policy("web", "{selector: {matchLabels: {app: web}}, mtls: {mode: PERMISSIVE}}"),
      policy(
        "ports",
        "{selector: {matchLabels: {app: ports}}, mtls: {mode: UNSET}, portLevelMtls: {8500: {mode: DISABLE}, 7000: {mode: PERMISSIVE}, 9999: {mode: DISABLE}, 6379: {mode: UNSET}}}",
      ),
    ].join("\n---"),
    cases: [
      one("the whole mesh's", "api", plainHttp(API), refused(NO_CHAIN)),
      one("the workload's before the mesh's", "web", plainHttp(WEB), web("http")),
      one("the workload's: by TLS as well", "web", meshHttp(WEB), web("mtls-http")),
      one("UNSET asks the next: STRICT", "ports", plainHttp("10.244.7.1:9091"), refused(NO_CHAIN)),
      one("a port's own: DISABLE", "ports", plainHttp("10.244.7.1:8500"), own("http", 8500, "10.244.7.1:8500")),
      one("a port's own: DISABLE takes no TLS", "ports", meshHttp("10.244.7.1:8500"), refused(NOT_HTTP)),
      one("a port's own: PERMISSIVE, plain", "ports", plainTcp("10.244.7.1:7000"), own("tcp", 7000, "10.244.7.1:7000")),
      one(
        "a port's own: PERMISSIVE, mesh",
        "ports",
        meshTcp("10.244.7.1:7000"),
        own("mtls-tcp", 7000, "10.244.7.1:7000"),
      ),
      one("a port's own of UNSET is the workload's", "ports", plainTcp("10.244.7.1:6379"), refused(NO_CHAIN)),
      one("a port's own, though no Service names it", "ports", plainTcp("10.244.7.1:9999"), {
        chain: "0.0.0.0_9999-tcp",
        cluster: "InboundPassthroughCluster",
        hosts: ["10.244.7.1:9999 plain"],
      }),
      one("another port that no Service names", "ports", plainTcp("10.244.7.1:9998"), refused(NO_CHAIN)),
    ],
  },
  {
    name: "inbound, explicit mode",
    by: "explicitApi",
    cases: [
      {
        name: "HTTP of the mesh, for the port that the server name says",
        call: named(8080, meshHttp(API)),
        expect: {
          listener: "virtualInbound",
          chain: "0.0.0.0_8080-mtls-http",
          cluster: "inbound|8080||",
          hosts: ["10.244.2.1:8080 plain"],
        },
      },
      {
        name: "bytes of the mesh",
        call: named(8080, meshTcp(API)),
        expect: { chain: "0.0.0.0_8080-mtls-tcp", hosts: ["10.244.2.1:8080 plain"] },
      },
      { name: "a port that no Service names", call: named(9999, meshHttp(API)), expect: refused(NO_CHAIN) },
      { name: "TLS without certificate", call: named(8080, foreignTls(API)), expect: refused(NO_CHAIN) },
      {
        name: "plaintext doesn't say what it is for",
        call: { ...plainHttp(API), direction: "direct", to: "10.244.2.1:15006" },
        expect: refused(NO_CHAIN),
      },
    ],
  },
];
