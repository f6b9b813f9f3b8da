import assert from "node:assert/strict";
import { it } from "node:test";
import { envoyGaps } from "../../../src/control/envoy-gaps.ts";

const rule = {
  apiVersion: "networking.istio.io/v1",
  kind: "DestinationRule",
  metadata: { name: "api", namespace: "production" },
  spec: {
    host: "api",
    trafficPolicy: { outlierDetection: { minRequestVolume: 10 } },
    subsets: [{ name: "v1", trafficPolicy: { outlierDetection: { minRequestVolume: 5, interval: "30s" } } }],
  },
};

it("a field that Envoy can't honour is named where it stands, while proxies concerned are Envoy", () => {
  const gaps = envoyGaps("DestinationRule", rule, [{ engine: "envoy" }, { engine: "weft" }]);
  assert.deepEqual(
    gaps.map(({ path }) => path),
    [
      "spec.trafficPolicy.outlierDetection.minRequestVolume",
      "spec.subsets[0].trafficPolicy.outlierDetection.minRequestVolume",
    ],
  );
  assert.match(gaps[0]?.message ?? "", /1 of 2 proxies are Envoy/);
  assert.deepEqual(envoyGaps("DestinationRule", rule, [{ engine: "weft" }]), []);
  assert.deepEqual(envoyGaps("VirtualService", rule, [{ engine: "envoy" }]), []);
});
