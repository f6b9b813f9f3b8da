// Istio's own valid and invalid documents, judged as the API server judges them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { istioKinds } from "../../../src/api/istio/kinds.ts";
import { CRDS, crdsAbsence, documents, saysSo } from "./conformance.ts";
import { judge } from "./structure.ts";

describe("Istio's documents", { skip: crdsAbsence }, () => {
  for (const name of CRDS) {
    it(`accepts every document of ${name}-valid.yaml`, () => {
      for (const document of documents(`${name}-valid.yaml`)) {
        const kind = istioKinds.find((each) => each.kind === document["kind"]);
        assert.ok(kind);
        const verdict = judge(kind, document);
        assert.deepEqual(verdict.structural, []);
        assert.deepEqual(
          verdict.issues.filter((issue) => issue.severity === "error"),
          [],
        );
      }
    });

    it(`refuses every document of ${name}-invalid.yaml, naming the field`, () => {
      for (const { _err, ...document } of documents(`${name}-invalid.yaml`)) {
        const kind = istioKinds.find((each) => each.kind === document["kind"]);
        assert.ok(kind);
        const verdict = judge(kind, document);
        const errors = verdict.issues.filter((issue) => issue.severity === "error");
        const structural = verdict.structural.map((text) => text.replaceAll(/\.(\d+)(?=[.:])/g, "[$1]"));
        const said = [...structural, ...errors.map((issue) => `${issue.path}: ${issue.message}`)].join("\n");
        assert.ok(saysSo(said, String(_err)), `${String(_err)} is not in: ${said}`);
      }
    });
  }
});
