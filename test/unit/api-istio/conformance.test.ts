// Istio's own valid and invalid documents, read from the shared data where it is present.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { istioKinds } from "../../../src/api/istio/kinds.ts";
import { isRecord, parseYamlDocuments } from "../../../src/base/json.ts";
import { judge } from "./structure.ts";

const shared = process.env["WEFT_SHARED"] ?? path.join(import.meta.dirname, "../../../../shared");
const crds = path.join(shared, "istio/conformance/crds");
const missing = fs.existsSync(crds) ? false : `${crds} is absent`;

/** Which field a refusal must name, for each part of a message in `_err`. */
const NAMED: Readonly<Record<string, RegExp>> = {
  'Unsupported value: "BLAH"': /mtls\.mode/,
  "type conversion error from": /type conversion error from/,
  'Unsupported value: "MANDATORY"': /\.presence/,
  "must be a valid duration greater than": /\.timeout: .* is not a duration/,
};

function documents(file: string): readonly Readonly<Record<string, unknown>>[] {
  const parsed = parseYamlDocuments(fs.readFileSync(path.join(crds, file), "utf8"));
  assert.ok(parsed.ok);
  return parsed.value.map(({ value }) => value).filter(isRecord);
}

describe("Istio's documents", { skip: missing }, () => {
  for (const name of ["authz", "destinationrule", "peerauth", "reqauth"]) {
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
        const expected = String(_err);
        const field = expected.split(": ")[0]?.split(" ")[0] ?? "";
        const named = field.includes(".")
          ? mentions(said, field)
          : / in body /.test(expected) && said.includes(`${field}:`);
        const holds = NAMED[expected]?.test(said) ?? (said.includes(expected) || named);
        assert.ok(holds, `${String(expected)} is not in: ${said}`);
      }
    });
  }
});

/** A schema error about a required property names the object; the property is in its message. */
function mentions(said: string, field: string): boolean {
  const [last = "", ...rest] = field.split(".").reverse();
  return said.includes(field) || (said.includes(rest.reverse().join(".")) && said.includes(last));
}
