// Istio's own valid and invalid documents, read from the shared data where it is present.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { isRecord, parseYamlDocuments } from "../../../src/base/json.ts";

const shared = process.env["WEFT_SHARED"] ?? path.join(import.meta.dirname, "../../../../shared");
const crds = path.join(shared, "istio/conformance/crds");

export const crdsAbsence = fs.existsSync(crds) ? false : `${crds} is absent`;
export const CRDS = ["authz", "destinationrule", "peerauth", "reqauth"] as const;

type Document = Readonly<Record<string, unknown>>;

export function documents(file: string): readonly Document[] {
  const parsed = parseYamlDocuments(fs.readFileSync(path.join(crds, file), "utf8"));
  assert.ok(parsed.ok);
  return parsed.value.map(({ value }) => value).filter(isRecord);
}

/** Which field a refusal must name, for each part of a message in `_err`. */
const NAMED: Readonly<Record<string, RegExp>> = {
  'Unsupported value: "BLAH"': /mtls\.mode/,
  "type conversion error from": /type conversion error from/,
  'Unsupported value: "MANDATORY"': /\.presence/,
  "must be a valid duration greater than": /\.timeout: .*is not a duration/,
};

/** Whether a refusal says what `_err` does, or names the same field. */
export function saysSo(said: string, expected: string): boolean {
  const field = expected.split(": ")[0]?.split(" ")[0] ?? "";
  const named = field.includes(".") ? mentions(said, field) : / in body /.test(expected) && said.includes(`${field}:`);
  return NAMED[expected]?.test(said) ?? (said.includes(expected) || named);
}

/** A schema error about a required property names the object; the property is in its message. */
function mentions(said: string, field: string): boolean {
  const [last = "", ...rest] = field.split(".").reverse();
  return said.includes(field) || (said.includes(rest.reverse().join(".")) && said.includes(last));
}
