// Authorization policies to RBAC: Istio's own cases where they are present, and the rules that they don't show.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { isRecord, parseYamlDocuments } from "../../../src/base/json.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { defaultMeshConfig, type MeshConfig } from "../../../src/model/mesh-config.ts";
import { RBAC as Rules } from "../../../src/proto/gen/envoy/config/rbac/v3/rbac.ts";
import { RBAC as HttpRbac } from "../../../src/proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import { HttpFilter } from "../../../src/proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { RBAC as TcpRbac } from "../../../src/proto/gen/envoy/extensions/filters/network/rbac/v3/rbac.ts";
import { fromEnvoyJson } from "../../../src/proto/json.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import type { Subject } from "../../../src/proxy/compile/rbac.ts";
import { compileRbac } from "../../../src/proxy/compile/rbac-filter.ts";
import { httpRbacFilters, tcpRbacFilters } from "../../../src/translate/rbac.ts";
import { Dice } from "../../authz/random.ts";
import { snapshotOf } from "./mesh.ts";

const shared = process.env["WEFT_SHARED"] ?? path.join(import.meta.dirname, "../../../../shared");
const cases = path.join(shared, "istio/conformance/authz-http");
const missing = fs.existsSync(cases) ? false : `${cases} is absent`;

const TEMPLATE = "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";

/** JSON of a message without what has its default value; extension bytes as the text that they hold. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!isRecord(value)) return value;
  if (value["typeUrl"] === TEMPLATE || value["@type"] === TEMPLATE) {
    const text = value["pathTemplate"] ?? Buffer.from(String(value["value"]), "base64").subarray(2).toString();
    return { "@type": TEMPLATE, pathTemplate: text };
  }
  const entries = Object.entries(value).filter(([, each]) => each !== false && each !== 0 && each !== undefined);
  return Object.fromEntries(entries.map(([key, each]) => [key, plain(each)]));
}

function expected(file: string): unknown {
  const parsed = parseYamlDocuments(fs.readFileSync(path.join(cases, file), "utf8"));
  assert.ok(parsed.ok);
  const filter = parsed.value[0]?.value;
  assert.ok(isRecord(filter) && isRecord(filter["typedConfig"]));
  const { "@type": _type, rules, shadowRules, shadowRulesStatPrefix } = filter["typedConfig"];
  const bodies = { rules, shadowRules };
  const present = Object.fromEntries(Object.entries(bodies).filter(([, each]) => each !== undefined));
  return plain({ ...present, shadowRulesStatPrefix });
}

/** Its typed configuration, read as the proxy would read it. */
function expectedMessage(file: string): HttpRbac {
  const parsed = parseYamlDocuments(fs.readFileSync(path.join(cases, file), "utf8"));
  const filter = parsed.ok ? parsed.value[0]?.value : undefined;
  const read = fromEnvoyJson(HttpFilter, filter);
  assert.ok(read.ok && read.value.configType?.$case === "typedConfig");
  return HttpRbac.decode(read.value.configType.value.value);
}

/** Both let in the same of a thousand requests by chance. */
function sameMeaning(ours: HttpRbac, theirs: HttpRbac): void {
  const field = Field.root("test", "rbac");
  const compiled = [ours, theirs].map((each) => compileRbac(each, field));
  assert.deepEqual(field.refusals, []);
  const dice = new Dice(seededRandom(1));
  for (let i = 0; i < 1000; i += 1) {
    const subject = randomSubject(dice);
    const [own, other] = compiled.map(({ rules, shadow }) => [rules?.match(subject), shadow?.match(subject)]);
    assert.deepEqual(own, other);
  }
}

/** Out of what Istio's cases ask for. */
function randomSubject(dice: Dice): Subject {
  const part = (): string => `rule[${dice.one([0, 1])}]-${dice.one(["to", "from"])}[${dice.one([0, 1])}]`;
  const [method, host, target] = [dice.one(["GET", `${part()}-method[0]`]), `${part()}-host[0]`, pathOf(dice, part)];
  const headers = new Map([
    [":method", method],
    [":authority", host],
    ["X-header", "header"],
  ]);
  const account = `${dice.one(["cluster.local", "td1", "some-td"])}/ns/${dice.one(["foo", "rule[0]"])}/sa/${part()}-principal[0]`;
  return {
    headers: { get: (name) => headers.get(name) },
    path: target,
    principals: dice.chance(0.8) ? [`spiffe://${account}`] : [],
    authenticated: true,
    directRemoteIp: dice.one(["10.0.0.1", "1.2.3.4"]),
    remoteIp: dice.one(["10.0.0.1", "1.2.3.4"]),
    destinationIp: dice.one(["10.0.0.2", "10.10.10.10"]),
    destinationPort: dice.one([80, 8000, 9000, 9001]),
    serverName: dice.one(["", "exact.com"]),
    metadata: () => undefined,
    narrowed: (rules) => rules.match,
    routeMetadata: () => undefined,
  };
}

function pathOf(dice: Dice, part: () => string): string {
  return dice.one(["/", "/exact", "/prefix/x", "/a/suffix", "/path/template/x", "/temp/a/b", `${part()}-path[0]`]);
}

describe("Istio's authorization cases", { skip: missing }, () => {
  const names = missing === false ? fs.readdirSync(cases).filter((name) => name.endsWith("-in.yaml")) : [];
  for (const name of names) {
    const base = name.replace(/-in\.yaml$/, "");
    it(base, () => {
      const aliases = base.includes("td-aliases");
      const mesh = {
        ...defaultMeshConfig,
        ...(aliases ? { trustDomain: "td1", trustDomainAliases: ["cluster.local"] } : {}),
      };
      const snapshot = snapshotOf(fs.readFileSync(path.join(cases, name), "utf8"));
      const filters = httpRbacFilters([...snapshot.resources.authorizationPolicies.values()], {
        mesh,
        servedPort: undefined,
      });
      const outputs = fs
        .readdirSync(cases)
        .filter((file) => file.startsWith(`${base}-out`))
        .sort();
      assert.equal(filters.length, outputs.length);
      for (const [i, file] of outputs.entries()) {
        const config = filters[i]?.configType;
        assert.ok(config?.$case === "typedConfig");
        const decoded = HttpRbac.decode(config.value.value);
        assert.deepEqual(plain(HttpRbac.toJSON(decoded)), expected(file));
        sameMeaning(decoded, expectedMessage(file));
      }
    });
  }
});

const HTTP_ONLY = (action: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: foo}
spec:
  action: ${action}
  rules:
  - from: [{source: {principals: [cluster.local/ns/foo/sa/a]}}]
    to: [{operation: {methods: [GET], ports: ["80"]}}]
`;

function tcpRules(manifests: string, servedPort?: number): Rules | undefined {
  const policies = [...snapshotOf(manifests).resources.authorizationPolicies.values()];
  const config = tcpRbacFilters(policies, { mesh: defaultMeshConfig, servedPort })[0]?.configType;
  return config?.$case === "typedConfig" ? TcpRbac.decode(config.value.value).rules : undefined;
}

describe("authorization on TCP", () => {
  it("drops an ALLOW rule that needs HTTP, so that nothing is allowed by it", () => {
    assert.deepEqual(tcpRules(HTTP_ONLY("ALLOW"))?.policies, {});
  });

  it("keeps of a DENY rule what TCP can see", () => {
    const rules = tcpRules(HTTP_ONLY("DENY"));
    const policy = rules?.policies["ns[foo]-policy[p]-rule[0]"];
    assert.ok(rules !== undefined && policy !== undefined);
    const text = JSON.stringify(Rules.toJSON(rules));
    assert.match(text, /"destinationPort":80/);
    assert.doesNotMatch(text, /:method/);
  });

  it("decides ports by the one that is served, where the connection goes to another", () => {
    const named = (servedPort: number) => JSON.stringify(tcpRules(HTTP_ONLY("DENY"), servedPort)?.policies);
    assert.doesNotMatch(named(80), /destinationPort/);
    assert.match(named(80), /"\$case":"any"/);
    assert.match(named(81), /"\$case":"notRule"/);
  });
});

/** The principals of the only rule, as JSON without type words. */
function principalsOf(source: string, mesh: Partial<MeshConfig> = {}): string {
  const text = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: foo}
spec: {rules: [${source}]}`;
  const policies = [...snapshotOf(text).resources.authorizationPolicies.values()];
  const target = { mesh: { ...defaultMeshConfig, ...mesh }, servedPort: undefined } as const;
  const config = httpRbacFilters(policies, target)[0]?.configType;
  assert.ok(config?.$case === "typedConfig");
  const { rules } = HttpRbac.decode(config.value.value);
  assert.ok(rules !== undefined);
  return JSON.stringify(Rules.toJSON(rules));
}

describe("who a rule means", () => {
  const TD = { trustDomain: "new-td", trustDomainAliases: ["old-td", "other"] };

  it("keeps a domain with a wildcard for the names that it covers, and adds the others", () => {
    const text = principalsOf('{from: [{source: {principals: ["*-td/ns/a/sa/b"]}}]}', TD);
    assert.match(text, /"regex":"spiffe:\/\/\.\*-td\/ns\/a\/sa\/b"/);
    assert.match(text, /"exact":"spiffe:\/\/other\/ns\/a\/sa\/b"/);
    assert.doesNotMatch(text, /spiffe:\/\/(new|old)-td/);
  });

  it("leaves a principal of any domain as it is", () => {
    assert.doesNotMatch(principalsOf('{from: [{source: {principals: ["*/ns/a/sa/b"]}}]}', TD), /new-td|old-td|other/);
  });

  it("means all of the mesh's trust domains by one of them", () => {
    const text = principalsOf("{from: [{source: {trustDomains: [old-td], notTrustDomains: [far]}}]}", TD);
    for (const domain of ["new-td", "old-td", "other", "far"])
      assert.match(text, new RegExp(`"prefix":"spiffe://${domain}/"`));
  });

  it("takes a service account for a whole part of an identity", () => {
    const text = principalsOf("{from: [{source: {serviceAccounts: [b, x/c]}}]}");
    assert.ok(
      text.includes("spiffe://.+/ns/foo/(.+/|)sa/b(/.+)?") && text.includes("spiffe://.+/ns/x/(.+/|)sa/c(/.+)?"),
    );
  });

  it("looks for the presenter in a list too", () => {
    assert.match(principalsOf("{when: [{key: request.auth.presenter, values: [a]}]}"), /listMatch/);
  });
});

describe("an ALLOW rule on TCP of which one alternative needs HTTP", () => {
  it("lets nobody in by the others either", () => {
    const rules = tcpRules(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: foo}
spec: {rules: [{to: [{operation: {methods: [GET]}}, {operation: {ports: ["80"]}}]}]}`);
    assert.deepEqual(rules?.policies, {});
  });
});
