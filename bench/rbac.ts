// What access rules cost a request: the compiled engine alone, under so many policies. Run:
//   npm run bench:rbac

import { readManifests } from "../src/ingest/file.ts";
import { defaultMeshConfig } from "../src/model/mesh-config.ts";
import { RBAC as HttpRbac } from "../src/proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import { Field } from "../src/proxy/compile/field.ts";
import type { Subject } from "../src/proxy/compile/rbac.ts";
import { compileRbac } from "../src/proxy/compile/rbac-filter.ts";
import { httpRbacFilters } from "../src/translate/rbac.ts";

/** How many policies, and how much they may add to a request. */
const BARS = [
  { count: 10, barUs: 1 },
  { count: 100, barUs: 5 },
  { count: 500, barUs: 5 },
];
const ROUNDS = 40;
const REQUESTS = 20_000;

/** Half say who may call which path, half who by his token and header: these are asked anew for each request. */
function manifest(i: number): string {
  const path = `paths: ["/service-${i}/*"], methods: [GET, POST]`;
  const rule =
    i % 2 === 0
      ? `{from: [{source: {principals: ["cluster.local/ns/ns-${i % 50}/sa/app"]}}], to: [{operation: {${path}}}]}`
      : `{to: [{operation: {${path}}}], when: [{key: "request.headers[x-team]", values: [team-${i}]}]}`;
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p${i}, namespace: foo}
spec: {rules: [${rule}]}`;
}

function compiled(count: number) {
  const read = readManifests(Array.from({ length: count }, (_, i) => manifest(i)).join("\n---\n"));
  if (!read.ok) throw new Error(read.error);
  const policies = [...read.value.resources.authorizationPolicies.values()];
  const config = httpRbacFilters(policies, { mesh: defaultMeshConfig, servedPort: undefined })[0]?.configType;
  if (config?.$case !== "typedConfig") throw new Error("no filter");
  const { rules } = compileRbac(HttpRbac.decode(config.value.value), Field.root("bench", "rbac"));
  if (rules === undefined) throw new Error("no rules");
  return rules;
}

function subjectOf(path: string): Subject {
  const headers = new Map([
    [":method", "GET"],
    [":authority", "api:8080"],
    ["x-team", "team-1"],
  ]);
  return {
    headers: { get: (name) => headers.get(name) },
    path,
    principals: ["spiffe://cluster.local/ns/ns-2/sa/app"],
    authenticated: true,
    directRemoteIp: "10.1.2.3",
    remoteIp: "10.1.2.3",
    destinationIp: "10.2.0.1",
    destinationPort: 8080,
    serverName: "",
    metadata: () => undefined,
    narrowed: (rules) => rules.match,
    routeMetadata: () => undefined,
  };
}

for (const { count, barUs } of BARS) {
  const rules = compiled(count);
  // One in three matches; where none does, a policy that had to be looked at has been.
  const subjects = ["/service-2/a", "/other/x", `/service-${count}/b`].map(subjectOf);
  const [first] = subjects;
  if (first === undefined) throw new Error("no subject");
  const match = rules.narrow(first);
  const timesUs: number[] = [];
  let matched = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.hrtime.bigint();
    for (let i = 0; i < REQUESTS; i += 1) {
      const subject = subjects[i % subjects.length];
      if (subject !== undefined && match(subject) !== undefined) matched += 1;
    }
    timesUs.push(Number(process.hrtime.bigint() - before) / REQUESTS / 1000);
  }
  timesUs.sort((a, b) => a - b);
  const medianUs = timesUs[ROUNDS >> 1] ?? 0;
  const share = Math.round((matched / (ROUNDS * REQUESTS)) * 100);
  const missed = medianUs > barUs;
  const words = `${medianUs.toFixed(2)} µs a request, bar ${barUs} µs (${share}% match)`;
  console.log(`${String(count).padStart(4)} policies: ${words}${missed ? "  MISSED" : ""}`);
  if (missed) process.exitCode = 1;
}
