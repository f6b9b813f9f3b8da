// docs/local-cluster.md lists what the code's own tables say. WEFT_UPDATE=1 writes its lists anew.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import test from "node:test";
import { apiVersionOf } from "../../src/api/kind.ts";
import { kubernetesKinds } from "../../src/api/kubernetes/kinds.ts";
import { podIneffective } from "../../src/api/kubernetes/pod-ineffective.ts";
import { readText, root } from "./source.ts";

const DOCUMENT = "docs/local-cluster.md";

const LISTS: readonly { readonly head: string; readonly rows: readonly string[] }[] = [
  {
    head: "| kind | group and version | state |\n| --- | --- | --- |\n",
    rows: kubernetesKinds
      .filter(({ group }) => group !== "events.k8s.io")
      .map((kind) => {
        const state = kind.keptOnly === undefined ? "acts" : `kept only, and warned: ${kind.keptOnly}`;
        return `| ${kind.kind} | \`${apiVersionOf(kind)}\` | ${state} |\n`;
      }),
  },
  {
    head: "| field | what happens instead | warned |\n| --- | --- | --- |\n",
    rows: podIneffective.map(
      ({ field, effect, quiet }) => `| \`spec.${field}\` | ${effect} | ${quiet === true ? "no" : "yes"} |\n`,
    ),
  },
];

test("the local cluster's page lists the kinds and fields that the code has", () => {
  for (const { head, rows } of LISTS) {
    const text = readText(DOCUMENT);
    const start = text.indexOf(head) + head.length;
    assert.ok(start > head.length, "the list's head is there");
    const end = start + (/^(?!\|)/m.exec(text.slice(start))?.index ?? text.length);
    if (process.env["WEFT_UPDATE"] === "1") {
      writeFileSync(`${root}/${DOCUMENT}`, text.slice(0, start) + rows.join("") + text.slice(end));
    } else assert.equal(text.slice(start, end), rows.join(""), "run the tidy tests with WEFT_UPDATE=1");
  }
});
