// Istio's own documents by kubectl apply: the API server takes the valid ones and refuses the others, naming the field.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CRDS, crdsAbsence, documents, saysSo } from "../../unit/api-istio/conformance.ts";
import { startTestServer } from "../../unit/apiserver/support/server.ts";
import { kubectl, kubectlAbsence } from "./kubectl.ts";

const skip = crdsAbsence === false ? (kubectlAbsence() ?? false) : crdsAbsence;
const AT_ONCE = 4;

describe("Istio's documents by kubectl apply", { skip }, () => {
  for (const name of CRDS) {
    it(`takes every document of ${name}-valid.yaml`, async (context) => {
      const server = await startTestServer(context);
      const given = documents(`${name}-valid.yaml`);
      const items = given.map((document, i) => ({
        ...document,
        metadata: { ...inDefault(document), name: `doc-${i}` },
      }));
      const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
      const { code, out, err } = await kubectl(server, "apply -f -", { input: list });
      assert.equal(code, 0, err);
      assert.equal(out.match(/ created$/gm)?.length, given.length, out);
    });

    it(`refuses every document of ${name}-invalid.yaml, naming the field`, async (context) => {
      const server = await startTestServer(context);
      const waiting = [...documents(`${name}-invalid.yaml`)];
      const wrong: string[] = [];
      const work = async (): Promise<void> => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          const { _err, ...document } = next;
          const { code, err } = await kubectl(server, "apply -f -", { input: JSON.stringify(document) });
          if (code === 0 || !saysSo(err, String(_err))) wrong.push(`${String(_err)} is not in: ${err}`);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      assert.deepEqual(wrong, []);
    });
  }
});

function inDefault({ metadata }: Readonly<Record<string, unknown>>): object {
  return { ...(typeof metadata === "object" ? metadata : {}), namespace: "default" };
}
