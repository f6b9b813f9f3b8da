// One folder a feature in test/golden/translate: `in.yaml` (manifests, and first what to show), `out.yaml`.
// WEFT_UPDATE_GOLDEN=1 writes the outputs anew; the difference is for review.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { isRecord, parseYamlDocuments } from "../../../src/base/json.ts";
import { Cluster } from "../../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../../../src/proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { Listener } from "../../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "../../../src/proto/gen/envoy/config/route/v3/route.ts";
import type { ProxyConfiguration } from "../../../src/translate/translate.ts";
import { Translator } from "../../../src/translate/translate.ts";
import { API_WORKLOADS, apiProxy, gatewayProxy, proxyOf, snapshotOf } from "./mesh.ts";
import { readable } from "./readable.ts";

const root = path.join(import.meta.dirname, "../../golden/translate");
const update = process.env["WEFT_UPDATE_GOLDEN"] === "1";

const SECTIONS = ["clusters", "endpoints", "listeners", "routes", "secrets"] as const;

describe("golden translations", () => {
  for (const feature of fs.readdirSync(root).sort()) {
    it(feature, () => {
      const output = path.join(root, feature, "out.yaml");
      const actual = stringify(translated(fs.readFileSync(path.join(root, feature, "in.yaml"), "utf8")), {
        lineWidth: 0,
      });
      if (update) fs.writeFileSync(output, actual);
      assert.equal(actual, fs.readFileSync(output, "utf8"), "run with WEFT_UPDATE_GOLDEN=1 and review the difference");
    });
  }

  it("have an input for each output, and nothing else", () => {
    for (const feature of fs.readdirSync(root)) {
      assert.deepEqual(fs.readdirSync(path.join(root, feature)).sort(), ["in.yaml", "out.yaml"], feature);
    }
  });
});

/** The first document says whose view it is, in which mode, and which resources are shown (by regular expression). */
function translated(input: string): unknown {
  const parsed = parseYamlDocuments(input);
  assert.ok(parsed.ok);
  const show = parsed.value[0]?.value;
  assert.ok(isRecord(show) && isRecord(show["show"]), "the first document is {show: {…}}");
  const manifests = input.slice(input.indexOf("\n---") + 4);
  const workloads = show["workloads"] === false ? "" : `${API_WORKLOADS}\n---\n`;
  const mode = show["mode"] === "NONE" ? "NONE" : "REDIRECT";
  const engine = show["engine"] === "envoy" ? "envoy" : "weft";
  const agent = show["agent"] === true ? ({ engine: "envoy", agent: true } as const) : {};
  const proxies = { api: { ...apiProxy, mode, ...agent }, gateway: { ...gatewayProxy, mode, engine } } as const;
  const named = show["proxy"] === "api" || show["proxy"] === "gateway" ? show["proxy"] : undefined;
  const proxy = named === undefined ? { ...proxyOf({ mode }), ...agent } : proxies[named];
  const all = json(new Translator(snapshotOf(workloads + manifests)).translate(proxy));
  const wanted = show["show"];
  return Object.fromEntries(
    SECTIONS.filter((section) => wanted[section] !== undefined).map((section) => {
      const pattern = new RegExp(String(wanted[section]));
      return [section, all[section].filter(({ name }) => pattern.test(name)).map(({ body }) => readable(body))];
    }),
  );
}

function json(from: ProxyConfiguration) {
  return {
    clusters: from.clusters.map((each) => ({ name: each.name, body: Cluster.toJSON(each) })),
    endpoints: from.endpoints.map((each) => ({ name: each.clusterName, body: ClusterLoadAssignment.toJSON(each) })),
    listeners: from.listeners.map((each) => ({ name: each.name, body: Listener.toJSON(each) })),
    routes: from.routes.map((each) => ({ name: each.name, body: RouteConfiguration.toJSON(each) })),
    // Only of what kind: there is a key in it.
    secrets: from.secrets.map(({ name, type }) => ({ name, body: { name, type: type?.$case } })),
  };
}
