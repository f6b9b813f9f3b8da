// The matrix of rules: each source by operation and condition, allowed and denied, over HTTP; sources on TCP, alone and
// beside what only HTTP has. A call that conforms to the rule and one that deviates; the evaluator of parsed policies says
// what must come of them. A cell's rule asks for the cell's own header, or port, so that all of them are in force at once.

import { decide } from "../../src/analyze/authz.ts";
import type { AuthzCall } from "../../src/analyze/authz-clause.ts";
import type { AuthorizationPolicy, AuthorizationRule } from "../../src/api/istio/authorization-policy.ts";
import { defaultMeshConfig } from "../../src/model/mesh-config.ts";
import type { SimCall } from "../sim/call.ts";
import { JWKS, token } from "../walk/tokens.ts";
import { type Cell, type CellGroup, POD } from "./matrix.ts";

type Source = NonNullable<NonNullable<NonNullable<AuthorizationRule["from"]>[number]["source"]>>;
type Operation = NonNullable<NonNullable<NonNullable<AuthorizationRule["to"]>[number]["operation"]>>;
type Condition = NonNullable<AuthorizationRule["when"]>[number];

const SOURCES: Readonly<Record<string, Source | undefined>> = {
  anybody: undefined,
  principals: { principals: ["cluster.local/ns/production/sa/peer"] },
  notPrincipals: { notPrincipals: ["*/sa/other"] },
  namespaces: { namespaces: ["prod*"] },
  notNamespaces: { notNamespaces: ["production"] },
  serviceAccounts: { serviceAccounts: ["peer", "shop/cart"] },
  ipBlocks: { ipBlocks: ["10.244.0.96/28"] },
  requestPrincipals: { requestPrincipals: ["https://issuer.test/*"] },
};
const OPERATIONS: Readonly<Record<string, Operation | undefined>> = {
  anything: undefined,
  methods: { methods: ["POST"] },
  paths: { paths: ["/ok/*"] },
  notPaths: { notPaths: ["*/secret", "/admin"] },
  template: { paths: ["/ok/{*}"] },
  hosts: { hosts: ["peer.*"] },
  ports: { ports: ["8080"] },
};
const CONDITIONS: Readonly<Record<string, Condition | undefined>> = {
  always: undefined,
  header: { key: "request.headers[x-kind]", values: ["v*"] },
  "no header": { key: "request.headers[x-kind]", notValues: ["w"] },
  sni: { key: "connection.sni", values: ["*.peer"] },
};
const ACTIONS = ["ALLOW", "DENY"] as const;

interface Call {
  readonly secure: boolean;
  readonly as: "peer" | "other";
  readonly from: string;
  readonly port: number;
  readonly sni: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly kind: string | undefined;
  readonly token: boolean;
}

const CONFORMING: Call = {
  secure: true,
  as: "peer",
  from: "10.244.0.99",
  port: 8080,
  sni: "outbound.peer",
  method: "POST",
  path: "/ok/a",
  host: "peer.test",
  kind: "v1",
  token: true,
};
const DEVIATIONS: readonly Partial<Call>[] = [
  { as: "other" },
  { secure: false, sni: "" },
  { from: "10.244.0.120" },
  { token: false },
  { method: "GET" },
  { path: "/ok/a/secret" },
  { path: "/elsewhere" },
  { host: "stranger.test" },
  { port: 9091 },
  { kind: "w" },
  { kind: undefined },
  { sni: "other.example" },
];

function policy(name: string, action: "ALLOW" | "DENY", rule: AuthorizationRule): AuthorizationPolicy {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: "production" },
    spec: { selector: { matchLabels: { app: "ports" } }, action, rules: [rule] },
  };
}

function ruleOf(
  source: Source | undefined,
  operation: Operation | undefined,
  when: readonly Condition[],
): AuthorizationRule {
  return {
    ...(source === undefined ? {} : { from: [{ source }] }),
    ...(operation === undefined ? {} : { to: [{ operation }] }),
    ...(when.length === 0 ? {} : { when: [...when] }),
  };
}

const inCell = (values: string[]): Condition => ({ key: "request.headers[x-cell]", values });

const AUTHENTICATION = {
  apiVersion: "security.istio.io/v1",
  kind: "RequestAuthentication",
  metadata: { name: "tokens", namespace: "production" },
  spec: { jwtRules: [{ issuer: "https://issuer.test", jwks: JWKS }] },
};

const manifestsOf = (documents: readonly object[]): string =>
  documents.map((each) => JSON.stringify(each)).join("\n---\n");

function httpGroup(): CellGroup {
  const policies: AuthorizationPolicy[] = [
    policy("others", "ALLOW", ruleOf(undefined, undefined, [inCell(["deny-*"])])),
  ];
  const cells: (readonly [id: string, name: string])[] = [];
  for (const [sourceName, source] of Object.entries(SOURCES)) {
    for (const [operationName, operation] of Object.entries(OPERATIONS)) {
      for (const [conditionName, condition] of Object.entries(CONDITIONS)) {
        for (const action of ACTIONS) {
          const id = `${action.toLowerCase()}-${cells.length}`;
          const when = condition === undefined ? [inCell([id])] : [condition, inCell([id])];
          policies.push(policy(id, action, ruleOf(source, operation, when)));
          cells.push([id, `${action} ${sourceName}, ${operationName}, ${conditionName}`]);
        }
      }
    }
  }
  return {
    name: "rules over HTTP",
    manifests: manifestsOf([AUTHENTICATION, ...policies]),
    cells: cells.flatMap(([id, name], i) => [
      httpCell(aboutCell(policies, id), id, `${name}: conforming`, CONFORMING),
      httpCell(aboutCell(policies, id), id, `${name}: deviating`, {
        ...CONFORMING,
        ...DEVIATIONS[(i >> 1) % DEVIATIONS.length],
      }),
    ]),
  };
}

/** No other asks for the cell's header. */
function aboutCell(policies: readonly AuthorizationPolicy[], id: string): readonly AuthorizationPolicy[] {
  return policies.filter(({ metadata }) => metadata.name === id || metadata.name === "others");
}

function httpCell(policies: readonly AuthorizationPolicy[], id: string, name: string, made: Call): Cell {
  const headers = {
    "x-cell": id,
    ...(made.kind === undefined ? {} : { "x-kind": made.kind }),
    ...(made.token ? { authorization: `Bearer ${TOKEN}` } : {}),
  };
  const { host, method, path, sni, from, port } = made;
  const call: SimCall = {
    direction: "inbound",
    from,
    to: `${POD}:${port}`,
    ...(made.secure ? { tls: { mesh: true, sni, alpn: ["istio-http/1.1", "istio", "http/1.1"] } } : {}),
    http: { host, method, path, headers },
  };
  const judged = decide(policies, { ...callOf(made), protocol: "http", headers }, defaultMeshConfig);
  return { name, call, as: made.as, wanted: judged.outcome === "allowed" ? "arrives" : 403 };
}

const TOKEN = token({ aud: undefined });

function callOf(made: Call): Omit<AuthzCall, "protocol" | "headers"> {
  return {
    principal: made.secure ? `cluster.local/ns/production/sa/${made.as}` : undefined,
    sourceIp: made.from,
    remoteIp: made.from,
    destinationIp: POD,
    port: made.port,
    serverName: made.sni,
    method: made.method,
    path: made.path,
    host: made.host,
    claims: made.token ? { iss: "https://issuer.test", sub: "jane" } : undefined,
  };
}

const FIRST_TCP_PORT = 11_000;
/** What stands beside a source and a port. */
const BESIDE: Readonly<Record<string, Operation>> = { ports: {}, "ports and methods": { methods: ["GET"] } };

function tcpGroup(): CellGroup {
  const policies: AuthorizationPolicy[] = [];
  const cells: (readonly [port: number, name: string])[] = [];
  for (const [sourceName, source] of Object.entries(SOURCES)) {
    for (const [besideName, beside] of Object.entries(BESIDE)) {
      for (const action of ACTIONS) {
        const port = FIRST_TCP_PORT + cells.length;
        policies.push(policy(`tcp-${port}`, action, ruleOf(source, { ...beside, ports: [String(port)] }, [])));
        if (action === "DENY")
          policies.push(policy(`let-${port}`, "ALLOW", ruleOf(undefined, { ports: [String(port)] }, [])));
        cells.push([port, `${action} ${sourceName}, ${besideName}`]);
      }
    }
  }
  const made: readonly Partial<Call>[] = [{}, { as: "other" }, { secure: false, sni: "" }];
  return {
    name: "rules over TCP",
    manifests: manifestsOf(policies),
    cells: cells.flatMap(([port, name]) =>
      made.map((change) => tcpCell(policies, `${name}: ${JSON.stringify(change)}`, { ...CONFORMING, ...change, port })),
    ),
  };
}

function tcpCell(policies: readonly AuthorizationPolicy[], name: string, made: Call): Cell {
  const { from, port, sni } = made;
  const call: SimCall = {
    direction: "inbound",
    from,
    to: `${POD}:${port}`,
    ...(made.secure ? { tls: { mesh: true, sni, alpn: ["istio"] } } : {}),
  };
  const judged = decide(
    policies,
    { ...callOf(made), claims: undefined, protocol: "tcp", headers: {} },
    defaultMeshConfig,
  );
  return { name, call, as: made.as, wanted: judged.outcome === "allowed" ? "arrives" : "refused" };
}

export const ruleGroups: readonly CellGroup[] = [httpGroup(), tcpGroup()];
