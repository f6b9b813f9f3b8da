// Everything that is generated can be honoured by weft's own proxy: its compiler refuses no field.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { Translator } from "../../../src/translate/translate.ts";
import { API_WORKLOADS, apiProxy, gatewayProxy, postManifests, proxyOf, snapshotOf } from "./mesh.ts";
import { refusalsOf } from "./refusals.ts";

const EVERYTHING = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: production}
spec: {selector: {app: web}, clusterIP: 10.96.0.8, ports: [{name: http-web, port: 80, targetPort: 8080}, {name: tcp-db, port: 5432}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: production}
spec:
  hosts: [web]
  http:
  - name: everything
    match:
    - {uri: {exact: /a}, method: {exact: GET}, headers: {x-user: {exact: alice}, x-any: {}}, withoutHeaders: {x-not: {exact: b}}, queryParams: {q: {exact: "1"}}, ignoreUriCase: true}
    - {uri: {regex: "/b/.*"}, authority: {prefix: web}}
    route: [{destination: {host: api, port: {number: 8080}}, headers: {response: {set: {x-from: api}}}}]
    rewrite: {uri: /c, authority: api}
    headers: {request: {set: {x-a: "1"}, add: {x-b: "2"}, remove: [x-c]}}
    fault: {delay: {fixedDelay: 10ms, percentage: {value: 1}}, abort: {httpStatus: 418, percentage: {value: 0.5}}}
    corsPolicy: {allowOrigins: [{exact: "https://example.com"}, {regex: ".*"}], allowMethods: [GET], maxAge: 24h, allowCredentials: true}
    mirror: {host: api}
    mirrorPercentage: {value: 10}
    retries: {attempts: 2, retryOn: "5xx,503", backoff: 25ms}
  - match: [{uri: {prefix: /old}}]
    redirect: {uri: /new, authority: elsewhere, redirectCode: 302}
  - match: [{uri: {prefix: /fixed}}]
    directResponse: {status: 200, body: {string: ok}}
  - route: [{destination: {host: nowhere}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: production}
spec:
  host: web
  trafficPolicy:
    loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 10s}, maglev: {tableSize: 251}}}
    connectionPool: {tcp: {connectTimeout: 1s, tcpKeepalive: {time: 10s, interval: 5s, probes: 3}}, http: {idleTimeout: 30s, maxRequestsPerConnection: 5, maxRetries: 3}}
    outlierDetection: {consecutive5xxErrors: 3, minHealthPercent: 10}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: all, namespace: production}
spec:
  rules:
  - from: [{source: {principals: ["cluster.local/ns/production/sa/*"], namespaces: [production], ipBlocks: [10.0.0.0/8], notPrincipals: ["*bad"]}}]
    to: [{operation: {hosts: [web], methods: [GET], paths: ["/a/*", "*/b", "/x/{*}/y/{**}"], ports: ["8080"], notPaths: [/c]}}]
    when: [{key: "request.headers[x-a]", values: ["1*"]}, {key: destination.port, values: ["8080"]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: production}
spec: {action: DENY, rules: [{to: [{operation: {methods: [DELETE]}}]}]}
`;

interface Case {
  readonly name: string;
  readonly manifests: string | undefined;
  /** Without the pods of `api`. */
  readonly alone?: boolean;
}

const CASES: readonly Case[] = [
  { name: "the post", manifests: postManifests() },
  { name: "every feature", manifests: EVERYTHING },
  ...goldenMeshes(),
];

/** Whatever a golden file shows, the proxy runs. */
function goldenMeshes(): readonly Case[] {
  const golden = path.join(import.meta.dirname, "../../golden/translate");
  return fs.readdirSync(golden).map((name) => {
    const input = fs.readFileSync(path.join(golden, name, "in.yaml"), "utf8");
    return { name, manifests: input.slice(input.indexOf("\n---") + 4), alone: input.startsWith("workloads: false") };
  });
}

describe("what is generated", () => {
  for (const { name, manifests, alone } of CASES) {
    for (const mode of ["REDIRECT", "NONE"] as const) {
      const skip = manifests === undefined ? "the post's text is absent" : false;
      it(`is honoured by weft's proxy: ${name}, ${mode}`, { skip }, () => {
        const translator = new Translator(snapshotOf(`${alone === true ? "" : `${API_WORKLOADS}\n---\n`}${manifests}`));
        for (const proxy of [proxyOf({ mode }), { ...apiProxy, mode }, { ...gatewayProxy, mode }]) {
          assert.deepEqual(refusalsOf(translator.translate(proxy)), []);
        }
      });
    }
  }
});
