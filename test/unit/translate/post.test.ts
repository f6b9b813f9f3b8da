// The post's own manifests, unmodified, through model and translation: the rows of the seed's table that configuration decides.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Translator } from "../../../src/translate/translate.ts";
import { API_WORKLOADS, apiProxy, postManifests, proxyOf, snapshotOf } from "./mesh.ts";

const manifests = postManifests();

describe("the post", { skip: manifests === undefined ? "the post's text is absent" : false }, () => {
  const snapshot = snapshotOf(`${API_WORKLOADS}\n---\n${manifests}`);
  const translator = new Translator(snapshot);
  const frontend = translator.translate(proxyOf());
  const cluster = (name: string) => {
    const found = frontend.clusters.find((each) => each.name === name);
    assert.ok(found, `${name} is not among ${frontend.clusters.map((each) => each.name).join(" ")}`);
    return found;
  };

  it("merges both rules of the host field by field, without a conflict", () => {
    const v1 = cluster("outbound|8080|v1|api.production.svc.cluster.local");
    assert.equal(v1.circuitBreakers?.thresholds[0]?.maxConnections, 100);
    assert.equal(v1.circuitBreakers?.thresholds[0]?.maxPendingRequests, 100);
    assert.equal(v1.circuitBreakers?.thresholds[0]?.maxRetries, 4_294_967_295);
    assert.equal(v1.outlierDetection?.consecutive5xx, 5);
    assert.equal(v1.outlierDetection?.consecutiveGatewayFailure, 5);
    assert.equal(v1.outlierDetection?.consecutiveLocalOriginFailure, 5);
    assert.equal(v1.outlierDetection?.splitExternalLocalOriginErrors, true);
    assert.equal(v1.outlierDetection?.maxEjectionPercent, 50);
    assert.equal(v1.metadata?.filterMetadata["weft.dev"]?.["minRequestVolume"], 10);
    assert.deepEqual(
      snapshot.findings.filter((finding) => finding.type === "conflict"),
      [],
    );
  });

  it("gives the host nothing of the wildcard rule, which is replaced and not inherited", () => {
    assert.equal(cluster("outbound|8080||api.production.svc.cluster.local").transportSocket, undefined);
    assert.equal(
      cluster("outbound|8080||api.production.svc.cluster.local").transportSocketMatches[0]?.name,
      "tlsMode-istio",
    );
  });

  it("splits 90 to 10 with the timeout and retries of the rule", () => {
    const config = frontend.routes.find((each) => each.name === "api.production.svc.cluster.local:8080");
    const route = config?.virtualHosts[0]?.routes[0];
    assert.equal(route?.action?.$case, "route");
    assert.ok(route?.action?.$case === "route");
    const action = route.action.value;
    assert.deepEqual(action.timeout, { seconds: 10, nanos: 0 });
    assert.equal(action.retryPolicy?.numRetries, 3);
    assert.equal(
      action.retryPolicy?.retryOn,
      "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
    );
    assert.deepEqual(action.retryPolicy?.perTryTimeout, { seconds: 5, nanos: 0 });
    assert.ok(action.clusterSpecifier?.$case === "weightedClusters");
    assert.deepEqual(
      action.clusterSpecifier.value.clusters.map(({ name, weight }) => [name, weight]),
      [
        ["outbound|8080|v1|api.production.svc.cluster.local", 90],
        ["outbound|8080|v2|api.production.svc.cluster.local", 10],
      ],
    );
    const { resource, rule } = route.metadata?.filterMetadata["weft.dev"] ?? {};
    assert.deepEqual([resource, rule], ["VirtualService production/api", "spec.http[0]"]);
  });

  it("admits no plaintext under STRICT", () => {
    const inbound = translator.translate(apiProxy).listeners.find((each) => each.name === "virtualInbound");
    const chains = inbound?.filterChains.filter((chain) => chain.filterChainMatch?.destinationPort !== 15_006) ?? [];
    assert.ok(chains.length > 0);
    for (const chain of chains) {
      assert.equal(chain.filterChainMatch?.transportProtocol, "tls", chain.name);
      assert.ok(chain.transportSocket, chain.name);
    }
  });

  it("accepts Telemetry without acting on it", () => {
    assert.equal(snapshot.resources.telemetries.size, 1);
  });
});
