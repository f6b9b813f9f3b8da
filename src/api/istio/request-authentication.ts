// RequestAuthentication: which tokens a workload verifies. It refuses what is wrong; that a token is there, an AuthorizationPolicy asks.

import { type Static, Type } from "typebox";
import { isRecord, parseJson } from "../../base/json.ts";
import { ageColumn } from "../columns.ts";
import { errorIssue, type Issue } from "../issue.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { istioHead } from "./head.ts";
import { type Ineffective, warnIneffective } from "./ineffective.ts";
import { checkDuration, checkOneTarget, quote } from "./rules.ts";
import { durationText, meshStatus, oneOf, targetRef, workloadSelector } from "./shapes.ts";

const text = Type.String({ minLength: 1 });

const jwtRule = Type.Object({
  issuer: text,
  audiences: Type.Optional(Type.Array(text)),
  jwksUri: Type.Optional(Type.String({ minLength: 1, maxLength: 2048 })),
  jwks: Type.Optional(Type.String()),
  fromHeaders: Type.Optional(Type.Array(Type.Object({ name: text, prefix: Type.Optional(Type.String()) }))),
  fromParams: Type.Optional(Type.Array(text)),
  fromCookies: Type.Optional(Type.Array(text)),
  outputPayloadToHeader: Type.Optional(Type.String()),
  outputClaimToHeaders: Type.Optional(
    Type.Array(Type.Object({ header: Type.String({ minLength: 1, pattern: "^[-_A-Za-z0-9]+$" }), claim: text })),
  ),
  spaceDelimitedClaims: Type.Optional(Type.Array(text)),
  forwardOriginalToken: Type.Optional(Type.Boolean()),
  timeout: Type.Optional(durationText),
  /** REQUIRED refuses a request without a token too. */
  presence: Type.Optional(oneOf(["OPTIONAL", "REQUIRED"])),
});

const schema = Type.Object({
  spec: Type.Optional(
    Type.Object({
      selector: Type.Optional(workloadSelector),
      targetRef: Type.Optional(targetRef),
      targetRefs: Type.Optional(Type.Array(targetRef, { maxItems: 16 })),
      jwtRules: Type.Optional(Type.Array(jwtRule, { maxItems: 4096 })),
    }),
  ),
  status: Type.Optional(meshStatus),
});

export type RequestAuthentication = KubeObject & Static<typeof schema>;
export type JwtRule = Static<typeof jwtRule>;

const NO_TARGETS = "policies apply to workloads by selector, so it applies to none";

export const requestAuthenticationIneffective: readonly Ineffective[] = [
  { field: "spec.targetRef", effect: NO_TARGETS },
  { field: "spec.targetRefs", effect: NO_TARGETS },
];

export const requestAuthenticationKind: Kind<RequestAuthentication> = {
  ...istioHead("security"),
  versions: ["v1", "v1beta1"],
  kind: "RequestAuthentication",
  plural: "requestauthentications",
  singular: "requestauthentication",
  shortNames: ["ra"],
  schema,
  columns: [ageColumn],
  check: checkRequestAuthentication,
};

function checkRequestAuthentication(object: RequestAuthentication): readonly Issue[] {
  const spec = object.spec ?? {};
  const issues: Issue[] = [...warnIneffective(object, requestAuthenticationIneffective)];
  issues.push(...checkOneTarget(spec));
  for (const [i, target] of (spec.targetRefs ?? []).entries()) {
    issues.push(...checkTarget(target, `spec.targetRefs[${i}]`));
  }
  if (spec.targetRef !== undefined) issues.push(...checkTarget(spec.targetRef, "spec.targetRef"));
  for (const [i, rule] of (spec.jwtRules ?? []).entries()) issues.push(...checkJwtRule(rule, `spec.jwtRules[${i}]`));
  return issues;
}

const GROUP = /^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const KIND = /^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/;

function checkTarget(target: Static<typeof targetRef>, path: string): readonly Issue[] {
  const issues: Issue[] = [];
  if (!GROUP.test(target.group ?? ""))
    issues.push(errorIssue(`${path}.group`, `${path}.group in body should match ${GROUP.source}`));
  if (!KIND.test(target.kind))
    issues.push(errorIssue(`${path}.kind`, `${path}.kind in body should match ${KIND.source}`));
  if ((target.namespace ?? "") !== "") {
    issues.push(errorIssue(`${path}.namespace`, "cross namespace referencing is not currently supported"));
  }
  return issues;
}

function checkJwtRule(rule: JwtRule, path: string): readonly Issue[] {
  const issues: Issue[] = [...checkDuration(rule.timeout, `${path}.timeout`)];
  if (rule.jwks !== undefined && rule.jwksUri !== undefined) {
    issues.push(errorIssue(path, "only one of jwks or jwksUri can be set"));
  }
  if (rule.jwksUri !== undefined && !/^https?:\/\/[^\s\\/]+/.test(rule.jwksUri)) {
    issues.push(
      errorIssue(`${path}.jwksUri`, `url must have scheme http:// or https://, and a host: ${quote(rule.jwksUri)}`),
    );
  }
  if (rule.jwks !== undefined) issues.push(...checkKeySet(rule.jwks, `${path}.jwks`));
  const locations = [...(rule.fromHeaders ?? []).map(({ name }) => name.toLowerCase())];
  const twice = locations.find((name, i) => locations.indexOf(name) !== i);
  if (twice !== undefined) issues.push(errorIssue(`${path}.fromHeaders`, `${quote(twice)} is named twice`));
  return issues;
}

function checkKeySet(jwks: string, path: string): readonly Issue[] {
  if (jwks === "") return [];
  const parsed = parseJson(jwks);
  if (!parsed.ok) return [errorIssue(path, `is not a JSON Web Key Set: ${parsed.error}`)];
  const keys = isRecord(parsed.value) ? parsed.value["keys"] : undefined;
  if (Array.isArray(keys) && keys.length > 0) return [];
  return [errorIssue(path, 'is not a JSON Web Key Set: an object with a list "keys" of at least one is expected')];
}
