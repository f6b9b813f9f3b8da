// The post's manifests: each thing that they promise and do not hold has its finding, by code, resource and path.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readPost } from "../../e2e/post.ts";
import { analyzed, objectsOf } from "./analyzed.ts";

const seed = readPost();
const text = "absent" in seed ? "" : seed.post.manifests.map(({ yaml }) => yaml).join("---\n");
const skip = "absent" in seed ? seed.absent : false;

const ROWS: readonly (readonly [what: string, code: string, resource: string, path: string, says: RegExp])[] = [
  [
    "minRequestVolume is weft's",
    "WEFT0107",
    "DestinationRule production/api-circuit-breaker",
    "spec.trafficPolicy.outlierDetection.minRequestVolume",
    /Istio's API server refuses/,
  ],
  [
    "consecutiveConnectFailure is weft's",
    "WEFT0107",
    "DestinationRule production/api-circuit-breaker",
    "spec.trafficPolicy.outlierDetection.consecutiveConnectFailure",
    /Istio's API server refuses/,
  ],
  [
    "consecutiveErrors is deprecated",
    "IST0002",
    "DestinationRule production/api-circuit-breaker",
    "spec.trafficPolicy.outlierDetection.consecutiveErrors",
    /^Deprecated: consecutiveErrors counts as consecutive5xxErrors/,
  ],
  [
    "two DestinationRules for one host",
    "WEFT0102",
    "DestinationRule production/api-circuit-breaker",
    "spec.host",
    /merged field by field with DestinationRule production\/api/,
  ],
  [
    "the wildcard is not inherited",
    "WEFT0103",
    "DestinationRule production/services",
    "spec.host",
    /nothing of it reaches api\.production\.svc\.cluster\.local.*tls\.mode.*automatic/,
  ],
  ["a port without a name", "IST0118", "Service production/api", "spec.ports[0]", /port: 8080, targetPort: 8080/],
  [
    "bypass mTLS",
    "WEFT0201",
    "AuthorizationPolicy production/api-policy",
    "spec.rules[1].from[0].source.namespaces",
    /bypasses no mTLS.*PeerAuthentication production\/default \(STRICT\)/,
  ],
  [
    "the provider jaeger is found as a Service",
    "WEFT0302",
    "Telemetry istio-system/tracing-config",
    "spec.tracing[0].providers[0].name",
    /istio-system\/jaeger, port 6831/,
  ],
  [
    "perTryTimeout without a retryOn that meets it",
    "WEFT0104",
    "VirtualService production/api",
    "spec.http[0].retries.perTryTimeout",
    /not retried.*5xx, gateway-error, reset.*504 after 5s/,
  ],
  [
    "50 % of one replica",
    "WEFT0105",
    "DestinationRule production/api-circuit-breaker",
    "spec.trafficPolicy.outlierDetection.maxEjectionPercent",
    /nothing is ever ejected: subset v1 has 1 replica and subset v2 has 1 replica/,
  ],
  ["a pod with its own proxy", "WEFT0401", "Pod production/app-pod", "spec.containers[1]", /merges it field by field/],
  [
    "nobody is the frontend yet",
    "WEFT0205",
    "AuthorizationPolicy production/api-policy",
    "spec.rules[0].from[0].source.principals[0]",
    /production\/frontend/,
  ],
];

describe("the post", { skip }, () => {
  const findings = analyzed(text);
  const find = (code: string, path: string, from = findings) =>
    from.find((each) => each.code === code && each.path === path);

  for (const [what, code, resource, path, says] of ROWS) {
    it(what, () => {
      const found = find(code, path);
      assert.ok(found, findings.map((each) => `${each.code} ${each.path}`).join("\n"));
      assert.equal(`${found.resource.kind} ${found.resource.namespace}/${found.resource.name}`, resource);
      assert.match(found.message, says);
      assert.notEqual(found.next, "", "says the next step");
      assert.ok((found.line ?? 0) > 1, "names the line");
    });
  }

  it("has no error: all of it can be applied", () => {
    assert.deepEqual(
      findings.filter(({ severity }) => severity === "Error"),
      [],
    );
  });

  it("without its Service, the provider leads nowhere", () => {
    const rest = text.replace(/---\napiVersion: v1\nkind: Service\nmetadata:\n {2}name: jaeger[\s\S]*/, "");
    assert.ok(find("WEFT0301", "spec.tracing[0].providers[0].name", analyzed(rest)));
  });

  it("with two replicas and a retryOn that meets timeouts, two findings less", () => {
    const better = text
      .replaceAll("  selector:\n    matchLabels:\n      app: api\n      version", "  replicas: 2\n$&")
      .replace("perTryTimeout: 5s", "$&\n      retryOn: gateway-error,reset");
    const codes = new Set<string>(analyzed(better).map(({ code }) => code));
    assert.ok(!codes.has("WEFT0105"));
    assert.ok(!codes.has("WEFT0104"));
  });

  it("its merge patch on top of what runs names what is lost", () => {
    const patched = text
      .split("---\n")
      .filter((each) => each.includes("kind: VirtualService"))
      .join("")
      .replace(/ {2}- match:[\s\S]*?route:/, "  - route:")
      .replace(/ {4}timeout[\s\S]*/, "");
    const lost = analyzed(patched, objectsOf(text)).find(({ code }) => code === "IST0133");
    assert.match(lost?.message ?? "", /no longer has match, timeout 10s, retries/);
  });
});
