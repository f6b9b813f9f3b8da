// One folder a finding in test/golden/analyze: `in.yaml` (manifests), `out.yaml` (all that analysis says to them).
// WEFT_UPDATE_GOLDEN=1 writes the outputs anew; the difference is for review.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { CODES } from "../../../src/analyze/finding.ts";
import { analyzed } from "./analyzed.ts";

const root = path.join(import.meta.dirname, "../../golden/analyze");
const update = process.env["WEFT_UPDATE_GOLDEN"] === "1";
const folders = fs.readdirSync(root).sort();

describe("golden findings", () => {
  for (const folder of folders) {
    it(folder, () => {
      const output = path.join(root, folder, "out.yaml");
      const code = folder.split("-")[0];
      // What a kind accepts without effect yet changes from one version to the next, and is listed elsewhere.
      const findings = analyzed(fs.readFileSync(path.join(root, folder, "in.yaml"), "utf8")).filter(
        (each) => each.code === code || each.code !== "IST0133",
      );
      assert.ok(
        findings.some((each) => each.code === code),
        `${code} is found`,
      );
      const shown = findings.map(({ code, severity, resource, path, line, message, next }) => ({
        finding: `${severity} ${code}`,
        at: `${resource.kind} ${resource.namespace}/${resource.name} ${path} line ${line}`,
        message,
        next,
      }));
      const actual = stringify(shown, { lineWidth: 0 });
      if (update) fs.writeFileSync(output, actual);
      assert.equal(actual, fs.readFileSync(output, "utf8"), "run with WEFT_UPDATE_GOLDEN=1 and review the difference");
    });
  }

  it("have an input for each output, and nothing else", () => {
    for (const folder of folders) {
      assert.deepEqual(fs.readdirSync(path.join(root, folder)).sort(), ["in.yaml", "out.yaml"], folder);
    }
  });

  it("show every code", () => {
    const shown = new Set(folders.map((folder) => folder.split("-")[0]));
    assert.deepEqual(
      Object.keys(CODES).filter((code) => !shown.has(code)),
      [],
    );
  });

  it("are all explained in docs/analyze.md", () => {
    const document = fs.readFileSync(path.join(root, "../../../docs/analyze.md"), "utf8");
    const rows = Object.entries(CODES).map(([code, { name, severity }]) => `| ${code} | ${severity} | ${name} |`);
    assert.deepEqual(
      rows.filter((row) => !document.includes(row)),
      [],
    );
  });
});
