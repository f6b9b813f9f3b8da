// docs/compatibility.md lists every field that is accepted without effect. WEFT_UPDATE=1 writes its table anew.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import test from "node:test";
import { authorizationPolicyIneffective } from "../../src/api/istio/authorization-policy.ts";
import { destinationRuleIneffective } from "../../src/api/istio/destination-rule-check.ts";
import type { Ineffective } from "../../src/api/istio/ineffective.ts";
import { meshConfigIneffective } from "../../src/api/istio/mesh-config.ts";
import { proxyConfigIneffective } from "../../src/api/istio/proxy-config.ts";
import { requestAuthenticationIneffective } from "../../src/api/istio/request-authentication.ts";
import { serviceEntryIneffective } from "../../src/api/istio/service-entry.ts";
import { telemetryIneffective } from "../../src/api/istio/telemetry.ts";
import { virtualServiceIneffective } from "../../src/api/istio/virtual-service-ineffective.ts";
import { workloadEntryIneffective } from "../../src/api/istio/workload-entry.ts";
import { workloadGroupIneffective } from "../../src/api/istio/workload-group.ts";
import { readText, root } from "./source.ts";

const DOCUMENT = "docs/compatibility.md";
const HEAD = "| kind | field | what happens instead |\n| --- | --- | --- |\n";

const TABLES: Readonly<Record<string, readonly Ineffective[]>> = {
  AuthorizationPolicy: authorizationPolicyIneffective,
  RequestAuthentication: requestAuthenticationIneffective,
  // One row for the field of a policy, wherever policies stand.
  DestinationRule: destinationRuleIneffective
    .filter(({ field }) => !field.includes("portLevelSettings") && !field.startsWith("spec.subsets"))
    .map(({ field, effect }) => ({ field: field.replace("spec.trafficPolicy", "trafficPolicy"), effect })),
  VirtualService: virtualServiceIneffective,
  ServiceEntry: serviceEntryIneffective,
  WorkloadEntry: workloadEntryIneffective,
  WorkloadGroup: workloadGroupIneffective,
  ProxyConfig: proxyConfigIneffective,
  Telemetry: telemetryIneffective,
  MeshConfig: meshConfigIneffective,
};

test("every field without effect is in the table of what does not work yet", () => {
  const rows = Object.entries(TABLES).flatMap(([kind, table]) =>
    table.map(({ field, effect }) => `| ${kind} | \`${field}\` | ${effect} |\n`),
  );
  const text = readText(DOCUMENT);
  const start = text.indexOf(HEAD) + HEAD.length;
  assert.ok(start > HEAD.length, "the table's head is there");
  const end = start + (/^(?!\|)/m.exec(text.slice(start))?.index ?? text.length);
  if (process.env["WEFT_UPDATE"] === "1")
    writeFileSync(`${root}/${DOCUMENT}`, text.slice(0, start) + rows.join("") + text.slice(end));
  else assert.equal(text.slice(start, end), rows.join(""), "run the tidy tests with WEFT_UPDATE=1");
});
