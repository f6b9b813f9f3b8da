// Policies and requests by chance, out of small pools, so that they often meet.

import type { AuthorizationPolicy, AuthorizationRule } from "../../src/api/istio/authorization-policy.ts";
import type { Random } from "../../src/base/random.ts";
import { defaultMeshConfig, type MeshConfig } from "../../src/model/mesh-config.ts";

export const MESH: MeshConfig = { ...defaultMeshConfig, trustDomainAliases: ["old-td"] };

/** Callers' identities; undefined: no certificate. */
export const CALLERS: readonly (string | undefined)[] = [
  "cluster.local/ns/a/sa/x",
  "cluster.local/ns/a/sa/y",
  "cluster.local/ns/b/sa/x",
  "old-td/ns/a/sa/x",
  "far.td/ns/a/sa/x",
  undefined,
];
export const SOURCES = ["127.0.0.1", "127.0.0.2", "127.1.0.1"] as const;
export const DESTINATIONS = ["127.0.0.1", "127.0.0.9"] as const;
export const SERVER_NAMES = ["api.sni", "web.sni"] as const;
export const ISSUERS = ["https://one.test", "https://two.test/path"] as const;

type Claims = Readonly<Record<string, unknown>>;

/** Of verified tokens; undefined: no token. */
export const CLAIMS: readonly (Claims | undefined)[] = [
  undefined,
  { iss: ISSUERS[0], sub: "ada", aud: undefined, azp: undefined, groups: undefined, nested: undefined },
  { iss: ISSUERS[0], sub: "bob", aud: ["one", "two"], azp: "app", groups: ["dev", "ops"], nested: { key: "deep" } },
  { iss: ISSUERS[1], sub: "ada", aud: "one", azp: ["app", "web"], groups: "dev", nested: { key: ["deep", "er"] } },
  { iss: ISSUERS[1], sub: undefined, aud: undefined, azp: true, groups: [5, true], nested: "key" },
];

export interface RandomRequest {
  readonly caller: string | undefined;
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly serverName: string | undefined;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly forwardedFor: string | undefined;
  readonly kind: readonly string[];
  readonly claims: Claims | undefined;
}

export class Dice {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  one<T>(from: readonly T[]): T {
    const at = Math.floor(this.#random() * from.length);
    for (const [i, each] of from.entries()) if (i === at) return each;
    throw new Error("nothing to choose from");
  }

  /** One or two of them. */
  some<T>(from: readonly T[]): T[] {
    return this.chance(0.6) ? [this.one(from)] : [this.one(from), this.one(from)];
  }
}

const PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/a/x/c", "/b", "/a//b", "/a/b.js", "/a/%20b", "/a/b?q=/b", "/A"];
const KINDS = [[], ["v"], ["w"], ["v2"], ["v", "w"], [""], ["V"]];

export function randomRequest(dice: Dice, ports: readonly number[]): RandomRequest {
  const caller = dice.one(CALLERS);
  return {
    caller,
    source: dice.one(SOURCES),
    destination: dice.one(DESTINATIONS),
    port: dice.one(ports),
    serverName: caller === undefined ? undefined : dice.one(SERVER_NAMES),
    method: dice.one(["GET", "POST", "PUT", "DELETE"]),
    path: dice.one(PATHS),
    host: dice.one(["api.test", "API.Test", "web.test:80", "api.other"]),
    forwardedFor: dice.one([undefined, "192.0.2.1", "198.51.100.7", "192.0.2.9, 198.51.100.7", "2001:db8::1"]),
    kind: dice.one(KINDS),
    claims: dice.one(CLAIMS),
  };
}

const IDENTITIES = [
  "cluster.local/ns/a/sa/x",
  "cluster.local/ns/b/sa/x",
  "old-td/ns/a/sa/y",
  "far.td/ns/a/sa/x",
  "cluster.local/ns/a/*",
  "*/sa/x",
  "*/ns/b/sa/x",
  "*-td/ns/a/sa/x",
  "*.local/ns/a/sa/y",
  "*",
];
const SUBJECTS = [
  "https://one.test/ada",
  "https://one.test/*",
  "*/ada",
  "https://two.test/path/*",
  "https://two.test/*",
  "*bob",
  "https://one.test/a*",
  "*/*",
  "https://one*",
  "*",
];

const SOURCE_FIELDS: Readonly<Record<string, readonly string[]>> = {
  principals: IDENTITIES,
  requestPrincipals: SUBJECTS,
  namespaces: ["a", "b", "a*", "*b", "*", "c"],
  ipBlocks: ["127.0.0.1", "127.0.0.0/30", "127.0.0.0/16", "127.0.0.0/8", "10.0.0.0/8", "::1"],
  remoteIpBlocks: ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "127.0.0.0/8", "0.0.0.0/0"],
  trustDomains: ["cluster.local", "old-td", "far*", "*td", "*"],
};

/** Which stand alone. */
const ACCOUNTS = { serviceAccounts: ["x", "y", "a/x", "b/x"] };

const OPERATION_FIELDS = (ports: readonly number[]): Readonly<Record<string, readonly string[]>> => ({
  hosts: ["api.test", "*.test", "api.*", "WEB.test:80", "*"],
  methods: ["GET", "POST", "P*", "*T", "*"],
  paths: ["/a", "/a/*", "*/b", "*", "/a/{*}", "/a/{**}", "/{*}/b", "/{**}/c", "/a/{*}/c", "/{**}"],
  ports: [...ports.map(String), "1"],
});

const CONDITIONS = (ports: readonly number[]): readonly (readonly [string, readonly string[]])[] => [
  ["request.headers[x-kind]", ["v", "w", "v*", "*2", "*"]],
  ["request.headers[X-Kind]", ["v", "V"]],
  ["source.ip", ["127.0.0.0/30", "127.1.0.1"]],
  ["remote.ip", ["192.0.2.0/24", "127.0.0.0/8"]],
  ["source.namespace", ["a", "b*", "*"]],
  ["source.principal", IDENTITIES],
  ["request.auth.principal", SUBJECTS],
  ["request.auth.audiences", ["one", "two", "t*", "*", "5"]],
  ["request.auth.presenter", ["app", "w*", "*"]],
  ["request.auth.claims[groups]", ["dev", "o*", "*", "5"]],
  ["request.auth.claims[nested][key]", ["deep", "*er", "*"]],
  ["destination.ip", ["127.0.0.9", "127.0.0.0/29"]],
  ["destination.port", [...ports.map(String), "1"]],
  ["connection.sni", ["api.sni", "web*", "*.sni", "*"]],
];

/** One to three policies of a workload in namespace `a`. */
export function randomPolicies(dice: Dice, ports: readonly number[]): readonly AuthorizationPolicy[] {
  const count = dice.one([1, 1, 2, 2, 3]);
  return Array.from({ length: count }, (_, i): AuthorizationPolicy => {
    const rules = dice.chance(0.05) ? [] : Array.from({ length: dice.one([1, 1, 2]) }, () => randomRule(dice, ports));
    return {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: `p${i}`, namespace: "a" },
      spec: { action: dice.one(["ALLOW", "ALLOW", "ALLOW", "DENY", "DENY", "AUDIT"] as const), rules },
    };
  });
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function randomRule(dice: Dice, ports: readonly number[]): AuthorizationRule {
  const rule: Mutable<AuthorizationRule> = {};
  if (dice.chance(0.6)) rule.from = dice.some([0]).map(() => ({ source: randomSource(dice) }));
  if (dice.chance(0.6)) rule.to = dice.some([0]).map(() => ({ operation: fieldsOf(dice, OPERATION_FIELDS(ports)) }));
  if (dice.chance(0.4)) {
    rule.when = dice.some([0]).map(() => {
      const [key, values] = dice.one(CONDITIONS(ports));
      return dice.chance(0.7) ? { key, values: dice.some(values) } : { key, notValues: dice.some(values) };
    });
  }
  return rule;
}

function randomSource(dice: Dice) {
  return fieldsOf(dice, dice.chance(0.15) ? ACCOUNTS : SOURCE_FIELDS);
}

function fieldsOf(dice: Dice, fields: Readonly<Record<string, readonly string[]>>) {
  const names = Object.keys(fields);
  const out: Record<string, string[]> = {};
  for (const name of dice.some(names)) {
    const negated = dice.chance(0.3);
    out[negated ? `not${name[0]?.toUpperCase()}${name.slice(1)}` : name] = dice.some(fields[name] ?? []);
  }
  return out;
}
