// Why rules did not match a request: of each policy the first field that failed, in the words of AuthorizationPolicy.
// Only what is refused is looked at in this way, so the tree is made when it is first asked for.

import type { Permission, Principal, RBAC } from "../../proto/gen/envoy/config/rbac/v3/rbac.ts";
import { UriTemplateMatchConfig } from "../../proto/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match.ts";
import type { MetadataMatcher } from "../../proto/gen/envoy/type/matcher/v3/metadata.ts";
import type { StringMatcher } from "../../proto/gen/envoy/type/matcher/v3/string.ts";
import type { ValueMatcher } from "../../proto/gen/envoy/type/matcher/v3/value.ts";
import type { Any } from "../../proto/gen/google/protobuf/any.ts";
import { EXPLAINED_POLICIES_MAX, EXPLAINED_TEXT_CHARS_MAX } from "../limits.ts";
import { Field } from "./field.ts";
import { valueAt } from "./matcher.ts";
import { permission, principal, type Rule, type Subject } from "./rbac.ts";

export interface PolicyMiss {
  /** `ns[production]-policy[api]-rule[0]`. */
  readonly policy: string;
  /** `source.principal`, `request.headers[x]`; empty where nothing could ever match. */
  readonly field: string;
  readonly was: string;
  readonly wants: string;
}

export interface Misses {
  readonly misses: readonly PolicyMiss[];
  /** How many policies are not told of. */
  readonly more: number;
}

export type Explain = (subject: Subject) => Misses;

export function explainer(rbac: RBAC): Explain {
  let known: readonly ExplainedPolicy[] | undefined;
  return (subject) => {
    known ??= treesOf(rbac);
    const told = known.slice(0, EXPLAINED_POLICIES_MAX);
    const misses = told.flatMap(({ name, principals, permissions }) => {
      const failure = failureOf(principals, subject) ?? failureOf(permissions, subject);
      return failure === undefined ? [] : [{ policy: name, ...failure }];
    });
    return { misses, more: known.length - told.length };
  };
}

interface ExplainedPolicy {
  readonly name: string;
  readonly principals: Node;
  readonly permissions: Node;
}

type Node =
  | { readonly kind: "and" | "or"; readonly parts: readonly Node[] }
  | { readonly kind: "not"; readonly part: Node }
  | Leaf;

interface Leaf {
  readonly kind: "leaf";
  readonly field: string;
  readonly wants: string;
  readonly holds: Rule;
  was(subject: Subject): string;
}

function treesOf(rbac: RBAC): readonly ExplainedPolicy[] {
  return Object.entries(rbac.policies)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, policy]) => ({
      name,
      principals: { kind: "or", parts: policy.principals.map(principalNode) },
      permissions: { kind: "or", parts: policy.permissions.map(permissionNode) },
    }));
}

function holds(node: Node, subject: Subject): boolean {
  switch (node.kind) {
    case "and":
      return node.parts.every((part) => holds(part, subject));
    case "or":
      return node.parts.some((part) => holds(part, subject));
    case "not":
      return !holds(node.part, subject);
    case "leaf":
      return node.holds(subject);
  }
}

type Failure = Omit<PolicyMiss, "policy">;

function failureOf(node: Node, subject: Subject): Failure | undefined {
  if (holds(node, subject)) return undefined;
  switch (node.kind) {
    case "leaf":
      return told(node, subject, node.wants);
    case "and":
      return firstFailure(node.parts, subject);
    case "or":
      return bestFailure(node.parts, subject);
    case "not":
      return negated(leavesOf(node.part), subject);
  }
}

function firstFailure(parts: readonly Node[], subject: Subject): Failure | undefined {
  for (const part of parts) {
    const failure = failureOf(part, subject);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** Values of one field are told together; of other alternatives the one of which most holds. */
function bestFailure(parts: readonly Node[], subject: Subject): Failure | undefined {
  const leaves = parts.filter((part) => part.kind === "leaf");
  const [first] = leaves;
  if (first !== undefined && leaves.length === parts.length && leaves.every(({ field }) => field === first.field)) {
    return told(first, subject, leaves.map(({ wants }) => wants).join(", "));
  }
  let best: { readonly failure: Failure; readonly held: number } | undefined;
  for (const part of parts) {
    const failure = failureOf(part, subject);
    const held = part.kind === "and" ? part.parts.findIndex((each) => !holds(each, subject)) : 0;
    if (failure !== undefined && (best === undefined || held > best.held)) best = { failure, held };
  }
  return best?.failure ?? { field: "", was: "", wants: "nothing: it has no rules" };
}

function negated(leaves: readonly Leaf[], subject: Subject): Failure {
  const [first] = leaves;
  if (first === undefined || leaves.every(({ field }) => field === "")) {
    return { field: "", was: "", wants: "nothing: it has no rules" };
  }
  const holding = leaves.find((leaf) => leaf.holds(subject)) ?? first;
  const same = leaves.filter(({ field }) => field === holding.field);
  return told(holding, subject, `none of ${same.map(({ wants }) => wants).join(", ")}`);
}

function leavesOf(node: Node): readonly Leaf[] {
  if (node.kind === "leaf") return [node];
  return node.kind === "not" ? leavesOf(node.part) : node.parts.flatMap(leavesOf);
}

function told(leaf: Leaf, subject: Subject, wants: string): Failure {
  return { field: leaf.field, was: short(leaf.was(subject)), wants: short(wants) };
}

function short(text: string): string {
  return text.length > EXPLAINED_TEXT_CHARS_MAX ? `${text.slice(0, EXPLAINED_TEXT_CHARS_MAX)}…` : text;
}

/** What the compiler refuses has never come into force. */
const NOWHERE = (): Field => Field.root("explained", "");

function permissionNode(one: Permission): Node {
  const { rule } = one;
  switch (rule?.$case) {
    case "andRules":
      return { kind: "and", parts: rule.value.rules.map(permissionNode) };
    case "orRules":
      return { kind: "or", parts: rule.value.rules.map(permissionNode) };
    case "notRule":
      return { kind: "not", part: permissionNode(rule.value) };
    default:
      return { kind: "leaf", holds: permission(one, NOWHERE(), 0), ...permissionWords(rule) };
  }
}

function principalNode(one: Principal): Node {
  const { identifier } = one;
  switch (identifier?.$case) {
    case "andIds":
      return { kind: "and", parts: identifier.value.ids.map(principalNode) };
    case "orIds":
      return { kind: "or", parts: identifier.value.ids.map(principalNode) };
    case "notId":
      return { kind: "not", part: principalNode(identifier.value) };
    default:
      return { kind: "leaf", holds: principal(one, NOWHERE(), 0), ...principalWords(identifier) };
  }
}

type Words = Pick<Leaf, "field" | "wants" | "was">;

const NO_WORDS: Words = { field: "", wants: "", was: () => "" };

function permissionWords(rule: Permission["rule"]): Words {
  switch (rule?.$case) {
    case "header":
      return headerWords(rule.value);
    case "urlPath":
      return { field: "path", wants: pathText(rule.value.rule?.value), was: pathOf };
    case "uriTemplate":
      return { field: "path", wants: templateText(rule.value.typedConfig), was: pathOf };
    case "destinationIp":
      return { field: "destination.ip", wants: cidrText(rule.value), was: ({ destinationIp }) => destinationIp };
    case "destinationPort":
      return { field: "destination.port", wants: String(rule.value), was: portOf };
    case "destinationPortRange":
      return { field: "destination.port", wants: `${rule.value.start}-${rule.value.end - 1}`, was: portOf };
    case "requestedServerName":
      return { field: "connection.sni", wants: stringText(rule.value), was: ({ serverName }) => serverName || "none" };
    case "metadata":
      return metadataWords(rule.value);
    default:
      return NO_WORDS;
  }
}

function principalWords(identifier: Principal["identifier"]): Words {
  switch (identifier?.$case) {
    case "authenticated":
      return identityWords(identifier.value.principalName);
    case "filterState":
      return identityWords(identifier.value.matcher?.value);
    case "sourceIp":
    case "directRemoteIp":
      return { field: "source.ip", wants: cidrText(identifier.value), was: ({ directRemoteIp }) => directRemoteIp };
    case "remoteIp":
      return { field: "remote.ip", wants: cidrText(identifier.value), was: ({ remoteIp }) => remoteIp };
    case "header":
      return headerWords(identifier.value);
    case "urlPath":
      return { field: "path", wants: pathText(identifier.value.rule?.value), was: pathOf };
    case "metadata":
      return metadataWords(identifier.value);
    default:
      return NO_WORDS;
  }
}

const portOf = ({ destinationPort }: Subject): string => String(destinationPort);
const pathOf = ({ headers, path }: Subject): string => (headers === undefined ? NO_HTTP : path);
const NO_HTTP = "none (not HTTP)";
const NO_CERTIFICATE = "none (no mesh certificate)";
const SPIFFE = "spiffe://";

function bare(identity: string): string {
  return identity.startsWith(SPIFFE) ? identity.slice(SPIFFE.length) : identity;
}

/** The forms in which the control plane writes namespaces, accounts and domains, read back. */
function identityWords(matcher: StringMatcher | undefined): Words {
  const names = ({ principals }: Subject): string => principals.map(bare).join(", ") || NO_CERTIFICATE;
  const part =
    (at: number) =>
    ({ principals }: Subject): string =>
      principals.map((each) => bare(each).split("/")[at] ?? "").join(", ") || NO_CERTIFICATE;
  if (matcher === undefined) return { field: "source.principal", wants: "*", was: names };
  const pattern = matcher.matchPattern;
  if (pattern?.$case === "safeRegex") {
    const { regex } = pattern.value;
    const namespace = /^\.\*\/ns\/(.*)\/\.\*$/.exec(regex)?.[1];
    if (namespace !== undefined) return { field: "source.namespace", wants: globOf(namespace), was: part(2) };
    const account = /^spiffe:\/\/\.\+\/ns\/(.*)\/\(\.\+\/\|\)sa\/(.*)\(\/\.\+\)\?$/.exec(regex);
    if (account !== null) {
      const wants = globOf(`${account[1]}/${account[2]}`);
      return { field: "source.serviceAccount", wants, was: names };
    }
    const domain = /^spiffe:\/\/(.*)\/\.\*$/.exec(regex)?.[1];
    if (domain?.includes("[^/]*") === true) {
      return { field: "source.trustDomain", wants: globOf(domain.replaceAll("[^/]*", ".*")), was: part(0) };
    }
    return { field: "source.principal", wants: bare(globOf(regex)), was: names };
  }
  if (pattern?.$case === "prefix" && /^spiffe:\/\/[^/]+\/$/.test(pattern.value)) {
    return { field: "source.trustDomain", wants: bare(pattern.value).slice(0, -1), was: part(0) };
  }
  return { field: "source.principal", wants: bare(stringText(matcher)), was: names };
}

const HEADER_FIELDS: ReadonlyMap<string, string> = new Map([
  [":method", "method"],
  [":authority", "host"],
  [":path", "path"],
]);

function headerWords(matcher: Extract<NonNullable<Permission["rule"]>, { $case: "header" }>["value"]): Words {
  const name = matcher.name.toLowerCase();
  const specifier = matcher.headerMatchSpecifier;
  const wants =
    specifier?.$case === "stringMatch"
      ? stringText(specifier.value)
      : specifier === undefined || specifier.$case === "presentMatch"
        ? "*"
        : "another value";
  return {
    field: HEADER_FIELDS.get(name) ?? `request.headers[${name}]`,
    wants,
    was: ({ headers }) => (headers === undefined ? NO_HTTP : (headers.get(name) ?? "none")),
  };
}

const JWT_FILTER = "envoy.filters.http.jwt_authn";

function metadataWords({ filter, path, value }: MetadataMatcher): Words {
  const keys = path.map(({ segment }) => (segment?.$case === "key" ? segment.value : ""));
  const jwt = filter === JWT_FILTER && keys[0] === "payload";
  const brackets = (jwt ? keys.slice(1) : keys).map((key) => `[${key}]`).join("");
  return {
    field: jwt ? `request.auth.claims${brackets}` : `experimental.${filter}${brackets}`,
    wants: valueText(value).join(", "),
    was: (subject) => {
      const struct = subject.metadata(filter);
      const found = valueAt(struct, keys);
      if (found !== undefined) return typeof found === "string" ? found : JSON.stringify(found);
      return jwt && struct === undefined ? "none (no token)" : "none";
    },
  };
}

function valueText(matcher: ValueMatcher | undefined): readonly string[] {
  const pattern = matcher?.matchPattern;
  switch (pattern?.$case) {
    case "stringMatch":
      return [stringText(pattern.value)];
    case "orMatch":
      return [...new Set(pattern.value.valueMatchers.flatMap(valueText))];
    case "listMatch":
      return pattern.value.matchPattern?.$case === "oneOf" ? valueText(pattern.value.matchPattern.value) : [];
    default:
      return ["another value"];
  }
}

function stringText(matcher: StringMatcher): string {
  const pattern = matcher.matchPattern;
  switch (pattern?.$case) {
    case "exact":
      return pattern.value;
    case "prefix":
      return `${pattern.value}*`;
    case "suffix":
      return `*${pattern.value}`;
    case "contains":
      return `*${pattern.value}*`;
    case "safeRegex":
      return globOf(pattern.value.regex);
    default:
      return "another value";
  }
}

function pathText(matcher: StringMatcher | undefined): string {
  return matcher === undefined ? "" : stringText(matcher);
}

/** Envoy writes `*` for a policy's `{*}`. */
function templateText(config: Any | undefined): string {
  const template = config === undefined ? "" : UriTemplateMatchConfig.decode(config.value).pathTemplate;
  return template.replaceAll(/\*+/g, "{$&}");
}

/** `.*` as the `*` that it was made of. */
function globOf(regex: string): string {
  return regex === ".+" ? "*" : unquoted(regex.replaceAll(".*", "*"));
}

function unquoted(regex: string): string {
  return regex.replaceAll(/\\(.)/g, "$1");
}

function cidrText({ addressPrefix, prefixLen }: { addressPrefix: string; prefixLen: number | undefined }): string {
  return `${addressPrefix}/${prefixLen ?? 0}`;
}
