// Policies by chance: what the control plane makes of them and the proxy compiles decides as the specification says.

import assert from "node:assert/strict";
import { it } from "node:test";
import type { AuthorizationPolicy } from "../../../src/api/istio/authorization-policy.ts";
import { authorizationPolicyKind } from "../../../src/api/istio/authorization-policy.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { RBAC as HttpRbac } from "../../../src/proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import type { Subject } from "../../../src/proxy/compile/rbac.ts";
import { compileRbac, type RbacConfig } from "../../../src/proxy/compile/rbac-filter.ts";
import { httpRbacFilters } from "../../../src/translate/rbac.ts";
import { isAllowed, remoteIpOf } from "../../authz/expected.ts";
import { Dice, MESH, type RandomRequest, randomPolicies, randomRequest } from "../../authz/random.ts";

const SEED = Number(process.env["WEFT_FUZZ_SEED"] ?? 1);
const PORTS = [8080, 9090];
const SETS = 1500;
const REQUESTS = 8;

function compiled(policies: readonly AuthorizationPolicy[]): readonly RbacConfig[] {
  const field = Field.root("test", "rbac");
  const filters = httpRbacFilters(policies, { mesh: MESH, servedPort: undefined });
  const configs = filters.map(({ configType }) => {
    assert.ok(configType?.$case === "typedConfig");
    return compileRbac(HttpRbac.decode(configType.value.value), field);
  });
  assert.deepEqual(field.refusals, []);
  return configs;
}

function subjectOf(request: RandomRequest): Subject {
  const single = new Map([
    [":method", request.method],
    [":authority", request.host],
    [":path", request.path],
  ]);
  const lines = (name: string): readonly string[] => {
    const own = single.get(name);
    return own === undefined ? (name === "x-kind" ? request.kind : []) : [own];
  };
  const payload = request.claims === undefined ? undefined : JSON.parse(JSON.stringify(request.claims));
  return {
    headers: {
      get: (name) => (lines(name).length === 0 ? undefined : lines(name).join(",")),
      some: (name, passes) => (lines(name).length === 0 ? undefined : lines(name).some(passes)),
    },
    path: request.path.split("?")[0] ?? "",
    principals: request.caller === undefined ? [] : [`spiffe://${request.caller}`],
    authenticated: request.caller !== undefined,
    directRemoteIp: request.source,
    remoteIp: remoteIpOf(request),
    destinationIp: request.destination,
    destinationPort: request.port,
    serverName: request.serverName ?? "",
    metadata: (filter) =>
      filter === "envoy.filters.http.jwt_authn" && payload !== undefined ? { payload } : undefined,
    narrowed: (rules) => rules.narrow(subjectOf(request)),
    routeMetadata: () => undefined,
  };
}

function passes(configs: readonly RbacConfig[], subject: Subject): boolean {
  return configs.every(({ rules, explain }) => {
    if (rules === undefined) return true;
    const matched = rules.match(subject);
    assert.equal(subject.narrowed(rules)(subject), matched, "what is narrowed says the same");
    if (rules.action === "log") return true;
    const misses = explain?.(subject).misses ?? [];
    if (matched === undefined) assert.equal(misses.length > 0 || rules.action === "deny", true, "a miss is explained");
    return rules.action === "deny" ? matched === undefined : matched !== undefined;
  });
}

it(`${SETS * REQUESTS} requests under ${SETS} sets of policies`, () => {
  const dice = new Dice(seededRandom(SEED));
  let allowed = 0;
  for (let set = 0; set < SETS; set += 1) {
    const policies = randomPolicies(dice, PORTS);
    const errors = policies.flatMap((policy) => authorizationPolicyKind.check?.(policy, undefined) ?? []);
    assert.deepEqual(
      errors.filter(({ severity }) => severity === "error"),
      [],
    );
    const configs = compiled(policies);
    for (let i = 0; i < REQUESTS; i += 1) {
      const request = randomRequest(dice, PORTS);
      const wanted = isAllowed(policies, request);
      if (wanted) allowed += 1;
      const told = () =>
        `WEFT_FUZZ_SEED=${SEED}\n${JSON.stringify(policies.map(({ spec }) => spec))}\n${JSON.stringify(request)}`;
      assert.equal(passes(configs, subjectOf(request)), wanted, told());
    }
  }
  const share = allowed / (SETS * REQUESTS);
  assert.ok(share > 0.2 && share < 0.8, `${share} are allowed: both answers are put to the test`);
});
