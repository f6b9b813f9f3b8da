// Routes of a gateway by the claims of verified tokens.

import { createHmac } from "node:crypto";
import type { SimCall } from "./call.ts";
import type { Theme } from "./case.ts";
import { virtualService } from "./route-cases.ts";

const KEY = "secret";

function token(claims: Readonly<Record<string, unknown>>, key = KEY): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const input = `${part({ alg: "HS256", kid: "a" })}.${part({ iss: "tester", sub: "me", ...claims })}`;
  return `${input}.${createHmac("sha256", key).update(input).digest("base64url")}`;
}

const call = (path: string, bearer?: string): SimCall => ({
  direction: "direct",
  to: "10.244.0.30:18600",
  http: {
    host: "www.example.com",
    path,
    ...(bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } }),
  },
});

const WEB = { cluster: "outbound|80||web.production…" };
const ORDERS = { cluster: "outbound|80||orders.shop…" };

export const claims: readonly Theme[] = [
  {
    name: "routes by claims",
    by: "gateway",
    manifests: [
      `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: edge}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  jwtRules: [{issuer: tester, jwks: '{"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":"c2VjcmV0"}]}'}]`,
      `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 18600, name: http, protocol: HTTP}, hosts: [www.example.com]}]`,
      virtualService(
        "by-claims",
        `
  hosts: [www.example.com]
  gateways: [edge/web]
  http:
  - match: [{uri: {prefix: /group}, headers: {"@request.auth.claims.group": {exact: admin}}}]
    route: [{destination: {host: orders.shop.svc.cluster.local}}]
  - match: [{uri: {prefix: /nested}, headers: {"@request.auth.claims[nested][at]": {regex: "x.*"}}}]
    route: [{destination: {host: orders.shop.svc.cluster.local}}]
  - match: [{uri: {prefix: /without}, withoutHeaders: {"@request.auth.claims.blocked": {}}}]
    route: [{destination: {host: orders.shop.svc.cluster.local}}]
  - match: [{uri: {prefix: /scope}, headers: {"@request.auth.claims.scope": {prefix: wri}}}]
    route: [{destination: {host: orders.shop.svc.cluster.local}}]
  - route: [{destination: {host: web}}]`,
      ),
    ].join("\n---\n"),
    cases: [
      { name: "a claim with the text", call: call("/group", token({ group: "admin" })), expect: ORDERS },
      { name: "a list that has it", call: call("/group", token({ group: ["dev", "admin"] })), expect: ORDERS },
      { name: "another text", call: call("/group", token({ group: "dev" })), expect: WEB },
      { name: "no token", call: call("/group"), expect: WEB },
      { name: "a claim within a claim", call: call("/nested", token({ nested: { at: "xyz" } })), expect: ORDERS },
      { name: "not below it", call: call("/nested", token({ nested: "xyz" })), expect: WEB },
      { name: "a claim that must not be there", call: call("/without", token({ blocked: "yes" })), expect: WEB },
      { name: "and is not", call: call("/without", token({})), expect: ORDERS },
      { name: "nor without a token", call: call("/without"), expect: ORDERS },
      { name: "the beginning of a claim", call: call("/scope", token({ scope: "write" })), expect: ORDERS },
    ],
  },
];
