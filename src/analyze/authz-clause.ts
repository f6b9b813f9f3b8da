// One attribute of a call beside what a rule wants of it: whether it holds, and what the call has.

import { BlockList, isIP, isIPv6 } from "node:net";
import { isPathTemplate } from "../api/istio/authorization-policy.ts";
import { isRecord } from "../base/json.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import { principalForms, trustDomainsOf } from "../model/trust-domain.ts";

/** What is known of a call. What is undefined nobody knows: nothing that is asked of it holds. */
export interface AuthzCall {
  readonly protocol: "http" | "tcp";
  /** `cluster.local/ns/NAMESPACE/sa/ACCOUNT` of the caller's certificate. */
  readonly principal: string | undefined;
  readonly sourceIp: string | undefined;
  /** After x-forwarded-for, where that is trusted. */
  readonly remoteIp: string | undefined;
  readonly destinationIp: string | undefined;
  readonly port: number;
  readonly serverName: string | undefined;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** Names in lower case; a list: a header of several lines. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** Of a token that was verified. */
  readonly claims: Readonly<Record<string, unknown>> | undefined;
}

export interface ClauseScope {
  readonly mesh: MeshConfig;
  /** Of the policy: a service account without a namespace is meant there. */
  readonly namespace: string;
}

export interface Clause {
  /** Below the rule: `from[0].source.namespaces`, `when[1].values`. */
  readonly field: string;
  /** The attribute: a field of source or operation, or a condition's key. */
  readonly key: string;
  readonly values: readonly string[];
  /** The values must not be there. */
  readonly negated: boolean;
}

export interface Attribute {
  /** As it is told to a person. */
  readonly was: string;
  holds(value: string): boolean;
}

const ONLY_HTTP = /^(hosts|methods|paths|requestPrincipals|request\..*|experimental\..*)$/;

/** Undefined where the call's protocol doesn't have the attribute. */
export function attributeOf(key: string, call: AuthzCall, scope: ClauseScope): Attribute | undefined {
  if (call.protocol === "tcp" && ONLY_HTTP.test(key)) return undefined;
  return NAMED[key]?.(call, scope) ?? bracketed(key, call);
}

type Read = (call: AuthzCall, scope: ClauseScope) => Attribute;

const principals: Read = ({ principal }, { mesh }) => ({
  was: principal ?? "none (no mesh certificate)",
  holds: (value) => principal !== undefined && principalForms(value, mesh).some((each) => matchesText(each, principal)),
});

const namespaces: Read = ({ principal }) => ({
  was: partsOf(principal)?.namespace ?? "none (no mesh certificate)",
  holds: (value) => matchesWild(value, partsOf(principal)?.namespace),
});

const serviceAccounts: Read = ({ principal }, { namespace }) => {
  const parts = partsOf(principal);
  const own = parts === undefined ? undefined : `${parts.namespace}/${parts.account}`;
  return {
    was: own ?? "none (no mesh certificate)",
    holds: (value) => own === (value.includes("/") ? value : `${namespace}/${value}`),
  };
};

const trustDomains: Read = ({ principal }, { mesh }) => ({
  was: partsOf(principal)?.domain ?? "none (no mesh certificate)",
  holds: (value) => trustDomainsOf([value], mesh).some((each) => matchesWild(each, partsOf(principal)?.domain)),
});

const requestPrincipals: Read = ({ claims }) => {
  const issuer = claims?.["iss"];
  const subject = claims?.["sub"];
  return {
    was: claims === undefined ? "none (no token)" : `${toldOf(issuer)}/${toldOf(subject)}`,
    holds: (value) =>
      typeof issuer === "string" && typeof subject === "string" && matchesRequestPrincipal(value, issuer, subject),
  };
};

const hosts: Read = ({ host }) => ({
  was: host,
  holds: (value) => matchesText(value.toLowerCase(), host.toLowerCase()),
});

const paths: Read = ({ path }) => {
  const [plain = ""] = path.split(/[?#]/);
  return {
    was: plain,
    holds: (value) => (isPathTemplate(value) ? matchesTemplate(value, plain) : matchesText(value, plain)),
  };
};

const ports: Read = ({ port }) => ({ was: String(port), holds: (value) => Number(value) === port });

const NAMED: Readonly<Record<string, Read>> = {
  principals,
  namespaces,
  serviceAccounts,
  trustDomains,
  requestPrincipals,
  ipBlocks: ({ sourceIp }) => addressAttribute(sourceIp),
  remoteIpBlocks: ({ remoteIp }) => addressAttribute(remoteIp),
  hosts,
  methods: ({ method }) => textAttribute(method),
  paths,
  ports,
  "source.principal": principals,
  "source.namespace": namespaces,
  "source.serviceAccount": serviceAccounts,
  "source.trustDomain": trustDomains,
  "source.ip": ({ sourceIp }) => addressAttribute(sourceIp),
  "remote.ip": ({ remoteIp }) => addressAttribute(remoteIp),
  "destination.ip": ({ destinationIp }) => addressAttribute(destinationIp),
  "destination.port": ports,
  "connection.sni": ({ serverName }) => textAttribute(serverName),
  "request.auth.principal": requestPrincipals,
  "request.auth.audiences": ({ claims }) => claimAttribute(claims?.["aud"]),
  "request.auth.presenter": ({ claims }) => claimAttribute(claims?.["azp"]),
};

function bracketed(key: string, { headers, claims }: AuthzCall): Attribute {
  const path = [...key.matchAll(/\[([^\]]*)\]/g)].map((match) => match[1] ?? "");
  if (key.startsWith("request.headers[")) return headerAttribute(headers[path[0]?.toLowerCase() ?? ""]);
  if (key.startsWith("request.auth.claims[")) {
    const value = path.reduce((inner: unknown, name) => (isRecord(inner) ? inner[name] : undefined), claims);
    return claimAttribute(value);
  }
  return textAttribute(undefined);
}

function textAttribute(text: string | undefined): Attribute {
  return { was: text ?? "unknown", holds: (value) => text !== undefined && matchesText(value, text) };
}

/** An empty header is there too; of several lines each counts by itself. */
function headerAttribute(header: string | readonly string[] | undefined): Attribute {
  const lines: readonly string[] = header === undefined ? [] : typeof header === "string" ? [header] : header;
  return {
    was: lines.length === 0 ? "none" : lines.join(", "),
    holds: (value) => (value === "*" ? lines.length > 0 : lines.some((line) => matchesText(value, line))),
  };
}

/** A list holds what any of its items does. Only texts are compared. */
function claimAttribute(claim: unknown): Attribute {
  const items: readonly unknown[] = Array.isArray(claim) ? claim : claim === undefined ? [] : [claim];
  return {
    was: items.map(toldOf).join(", ") || "none",
    holds: (value) => items.some((item) => typeof item === "string" && matchesText(value, item)),
  };
}

function addressAttribute(address: string | undefined): Attribute {
  return { was: address ?? "unknown", holds: (value) => address !== undefined && isInBlock(address, value) };
}

/** Exact, `prefix*`, `*suffix`, or `*` for anything that is there. */
function matchesText(pattern: string, text: string): boolean {
  if (pattern === "*") return text !== "";
  if (pattern.startsWith("*")) return text.endsWith(pattern.slice(1));
  if (pattern.endsWith("*")) return text.startsWith(pattern.slice(0, -1));
  return pattern === text;
}

/** `*` may stand anywhere. */
function matchesWild(pattern: string, text: string | undefined): boolean {
  if (text === undefined) return false;
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return pattern === text;
  if (!text.startsWith(first)) return false;
  const last = rest.pop() ?? "";
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}

function matchesTemplate(template: string, path: string): boolean {
  const wanted = template.split("/");
  const segments = path.split("/");
  const deep = wanted.indexOf("{**}");
  const single = (i: number): boolean => {
    const want = wanted[i];
    return want === "{*}" ? (segments[i] ?? "") !== "" : want === segments[i];
  };
  if (deep < 0) return wanted.length === segments.length && wanted.every((_want, i) => single(i));
  const tail = wanted.slice(deep + 1);
  const rest = segments.slice(deep);
  if (!wanted.slice(0, deep).every((_want, i) => i < segments.length && single(i))) return false;
  return rest.length > tail.length && tail.every((want, i) => want === rest[rest.length - tail.length + i]);
}

/** `issuer/subject`: a `*` at the text's beginning leaves the issuer's open, one at its end the subject's. */
function matchesRequestPrincipal(pattern: string, issuer: string, subject: string): boolean {
  const slash = pattern.lastIndexOf("/");
  if (pattern === "*") return issuer !== "" && subject !== "";
  const wanted = slash < 0 ? ([pattern, ""] as const) : ([pattern.slice(0, slash), pattern.slice(slash + 1)] as const);
  if (pattern.startsWith("*")) {
    if (slash < 0) return issuer !== "" && matchesText(pattern, subject);
    return matchesText(wanted[0], issuer) && wanted[1] === subject;
  }
  if (pattern.endsWith("*")) {
    if (slash < 0) return matchesText(pattern, issuer) && subject !== "";
    return wanted[0] === issuer && matchesText(wanted[1], subject);
  }
  return wanted[0] === issuer && wanted[1] === subject;
}

function isInBlock(address: string, block: string): boolean {
  const [prefix = "", length] = block.split("/");
  const family = (text: string): "ipv4" | "ipv6" => (isIPv6(text) ? "ipv6" : "ipv4");
  if (isIP(prefix) === 0 || isIP(address) === 0 || family(prefix) !== family(address)) return false;
  const blocks = new BlockList();
  const bits = length === undefined ? (isIPv6(prefix) ? 128 : 32) : Number(length);
  blocks.addSubnet(prefix, bits, family(prefix));
  return blocks.check(address, family(address));
}

function partsOf(principal: string | undefined) {
  const match = /^(.*)\/ns\/([^/]*)\/sa\/(.*)$/.exec(principal ?? "");
  if (match === null) return undefined;
  const [, domain = "", namespace = "", account = ""] = match;
  return { domain, namespace, account };
}

function toldOf(value: unknown): string {
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
}
