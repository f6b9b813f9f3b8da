// Gateways on weft's own proxy, fed by the real control plane.

import { describe, it, type TestContext } from "node:test";
import { httpScenarios } from "../../gateway/http.ts";
import { httpsScenarios } from "../../gateway/https.ts";
import { layer4Scenarios } from "../../gateway/layer4.ts";
import { weft } from "../../gateway/world.ts";

describe("a gateway on weft's proxy", () => {
  for (const { name, run } of [...httpScenarios, ...httpsScenarios, ...layer4Scenarios]) {
    it(name, (t: TestContext) => run(t, weft));
  }
});
