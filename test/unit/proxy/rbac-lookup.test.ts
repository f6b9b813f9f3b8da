// Many policies are looked up by path and header: the first that matches is the one that a look at each finds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../src/base/random.ts";
import { RBAC } from "../../../src/proto/gen/envoy/config/rbac/v3/rbac.ts";
import { fromEnvoyJson } from "../../../src/proto/json.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileRules, type Subject } from "../../../src/proxy/compile/rbac.ts";
import { Dice } from "../../authz/random.ts";

const SEED = Number(process.env["WEFT_FUZZ_SEED"] ?? 1);
const TEMPLATE = "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";
const PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/b/c/d", "/b"];

function permission(dice: Dice, depth = 0): object {
  const inner = () => permission(dice, depth + 1);
  const kind = dice.one(
    depth < 2 ? ["path", "path", "template", "header", "method", "any", "and", "or", "not"] : ["path", "header", "any"],
  );
  switch (kind) {
    case "path":
      return {
        urlPath: { path: { [dice.one(["exact", "prefix", "suffix"])]: dice.one(PATHS), ignoreCase: dice.chance(0.1) } },
      };
    case "template":
      return {
        uriTemplate: {
          name: "t",
          typedConfig: { "@type": TEMPLATE, pathTemplate: dice.one(["/a/*", "/**", "/b/*/d", "/{x}"]) },
        },
      };
    case "header":
      return header(dice);
    case "method":
      return { header: { name: ":method", stringMatch: { exact: "GET" } } };
    case "and":
      return { andRules: { rules: [inner(), inner()] } };
    case "or":
      return { orRules: { rules: [inner(), inner()] } };
    case "not":
      return { notRule: inner() };
    default:
      return { any: true };
  }
}

function header(dice: Dice): object {
  const name = dice.one(["x-team", "X-Team", "x-kind"]);
  const match = dice.chance(0.7) ? { exact: dice.one(["a", "b"]) } : { prefix: "a" };
  return {
    header: { name, stringMatch: match, invertMatch: dice.chance(0.1), treatMissingHeaderAsEmpty: dice.chance(0.1) },
  };
}

function principal(dice: Dice): object {
  const one = () =>
    dice.one([
      { any: true },
      { authenticated: { principalName: { exact: dice.one(["spiffe://a", "spiffe://b"]) } } },
      header(dice),
      { remoteIp: { addressPrefix: "10.0.0.0", prefixLen: 8 } },
    ]);
  return dice.chance(0.5) ? one() : { [dice.one(["andIds", "orIds"])]: { ids: [one(), one()] } };
}

function subjectOf(dice: Dice): Subject {
  const lines = new Map([
    [":method", [dice.one(["GET", "PUT"])]],
    ["x-team", dice.one([[], ["a"], ["b"], ["c", "a"], ["ab", "b"]])],
    ["x-kind", dice.one([[], ["b"], [""]])],
  ]);
  const of = (name: string): readonly string[] => lines.get(name) ?? [];
  return {
    headers: {
      get: (name) => (of(name).length === 0 ? undefined : of(name).join(",")),
      some: (name, passes) => (of(name).length === 0 ? undefined : of(name).some(passes)),
    },
    path: dice.one(PATHS),
    principals: [dice.one(["spiffe://a", "spiffe://c"])],
    authenticated: true,
    directRemoteIp: "10.0.0.1",
    remoteIp: dice.one(["10.0.0.1", "11.0.0.1"]),
    destinationIp: "10.0.0.2",
    destinationPort: 80,
    serverName: "",
    metadata: () => undefined,
    narrowed: (rules) => rules.match,
    routeMetadata: () => undefined,
  };
}

test("many policies decide as each by itself does, in the order of their names", () => {
  const dice = new Dice(seededRandom(SEED));
  for (let set = 0; set < 300; set += 1) {
    const policies = Object.fromEntries(
      Array.from({ length: dice.one([4, 8, 30]) }, (_, i) => [
        `p${i}`,
        {
          permissions: dice.some([0]).map(() => permission(dice)),
          principals: dice.some([0]).map(() => principal(dice)),
        },
      ]),
    );
    const compile = (some: object) => {
      const field = Field.root("rules", "test");
      const read = fromEnvoyJson(RBAC, { action: "ALLOW", policies: some });
      assert.ok(read.ok, read.ok ? "" : read.error.join("\n"));
      const rules = compileRules(read.value, field);
      assert.deepEqual(field.refusals, []);
      return rules;
    };
    const together = compile(policies);
    const apart = Object.entries(policies)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, one]) => compile({ [name]: one }));
    const connection = subjectOf(dice);
    const narrowed = together.narrow(connection);
    for (let i = 0; i < 20; i += 1) {
      const subject = { ...subjectOf(dice), principals: connection.principals };
      const wanted = apart.map((rules) => rules.match(subject)).find((name) => name !== undefined);
      const told = () => `WEFT_FUZZ_SEED=${SEED}\n${JSON.stringify(policies)}\n${subject.path}`;
      assert.equal(together.match(subject), wanted, told());
      assert.equal(narrowed(subject), wanted, told());
    }
  }
});
