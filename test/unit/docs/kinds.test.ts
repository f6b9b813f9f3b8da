// Every page in docs/kinds: its example is valid, and what it says comes of it is a part of what a preview shows.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { istioKinds } from "../../../src/api/istio/kinds.ts";
import { kubernetesKinds } from "../../../src/api/kubernetes/kinds.ts";
import { makeRegistry } from "../../../src/api/registry.ts";
import { isRecord, parseYamlDocuments } from "../../../src/base/json.ts";
import { checkText, describeFinding } from "../../../src/cluster/manifests.ts";
import { DEFAULT_INJECT_OPTIONS } from "../../../src/inject/options.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { preview } from "../../../src/preview/preview.ts";

const folder = path.join(import.meta.dirname, "../../../docs/kinds");
const OPTIONS = { mesh: defaultMeshConfig, inject: DEFAULT_INJECT_OPTIONS, engine: "weft" } as const;
const REGISTRY = makeRegistry([...kubernetesKinds, ...istioKinds]);

interface Block {
  readonly info: string;
  readonly text: string;
}

function blocksOf(file: string): readonly Block[] {
  const page = fs.readFileSync(path.join(folder, file), "utf8");
  return [...page.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, info = "", text = ""]) => ({ info, text }));
}

const [shop] = blocksOf("README.md").filter(({ info }) => info === "yaml");
const pages = fs.readdirSync(folder).filter((file) => file !== "README.md");

describe("docs/kinds", () => {
  for (const file of pages) {
    it(file, () => {
      const blocks = blocksOf(file);
      const example = blocks.filter(({ info }) => info === "yaml").map(({ text }) => text);
      assert.ok(example.length > 0, "it has an example");
      const checked = checkText(file, [shop?.text ?? "", ...example].join("\n---\n"), REGISTRY);
      const isWarned = fs.readFileSync(path.join(folder, file), "utf8").includes("without effect");
      const wrong = checked.findings.filter(({ issue }) => issue.severity === "error" || !isWarned);
      assert.deepEqual(wrong.map(describeFinding), []);
      const objects = checked.manifests.map(({ object }) => object);
      const claims = blocks.filter(({ info }) => /^yaml (preview|pod) /.test(info));
      for (const { info, text } of claims) {
        const [, what, pod = ""] = info.split(" ");
        const [namespace = "", name = ""] = pod.split("/");
        const made = preview(objects, { namespace, name }, OPTIONS);
        assert.ok(made.ok, made.ok ? "" : made.error);
        const actual: unknown = what === "pod" ? made.value.pod.pod : made.value.configuration;
        assert.deepEqual(missing(yamlValue(text), actual, ""), []);
      }
    });
  }

  it("has a page for each kind of Istio that is served, and for MeshConfig, all in the list", () => {
    const wanted = istioKinds.map(({ kind }) => `${kind.replace(/(?<!^)[A-Z]/g, "-$&").toLowerCase()}.md`);
    assert.deepEqual([...wanted, "mesh-config.md"].sort(), pages.toSorted());
    const list = fs.readFileSync(path.join(folder, "README.md"), "utf8");
    for (const page of pages) assert.ok(list.includes(`(${page})`), page);
  });
});

it("a claim that isn't so is found", () => {
  const actual = { routes: [{ name: "80", weight: 90 }, { name: "81" }] };
  assert.deepEqual(missing({ routes: [{ name: "81" }, { name: "80" }] }, actual, ""), []);
  assert.deepEqual(missing({ routes: [{ name: "80", weight: 91 }] }, actual, ""), [
    ".routes[0].weight: 90 instead of 91",
  ]);
  assert.deepEqual(missing({ clusters: [] }, actual, ""), [".clusters: no list"]);
});

function yamlValue(text: string): unknown {
  const parsed = parseYamlDocuments(text);
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.error);
  return parsed.value[0]?.value;
}

/** Paths of what is claimed and not there. Of a list, each item must be a part of one of the actual items. */
function missing(claimed: unknown, actual: unknown, at: string): readonly string[] {
  if (Array.isArray(claimed)) {
    if (!Array.isArray(actual)) return [`${at}: no list`];
    return claimed.flatMap((item: unknown, i) => {
      const tries = actual.map((each: unknown) => missing(item, each, `${at}[${i}]`));
      const best = tries.toSorted((a, b) => a.length - b.length)[0] ?? [`${at}[${i}]: not there`];
      return tries.some((found) => found.length === 0) ? [] : best;
    });
  }
  if (!isRecord(claimed))
    return claimed === actual ? [] : [`${at}: ${JSON.stringify(actual)} instead of ${JSON.stringify(claimed)}`];
  if (!isRecord(actual)) return [`${at}: not there`];
  return Object.entries(claimed).flatMap(([key, value]) => missing(value, actual[key], `${at}.${key}`));
}
