// Requests as commands show them: filters, the order of hops, the line of a resource, a trace's waterfall.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { buildWorld } from "../../../src/analyze/world.ts";
import { readObjects } from "../../../src/cli/manifest-objects.ts";
import type { SeenRequest } from "../../../src/cli/requests/collect.ts";
import { explanationText, type Hop } from "../../../src/cli/requests/explanation.ts";
import { type FilterOptions, requestFilter } from "../../../src/cli/requests/filter.ts";
import { culprit, inOrder, portOf } from "../../../src/cli/requests/hops.ts";
import { isRefused, judge } from "../../../src/cli/requests/judge.ts";
import { makePlaces } from "../../../src/cli/requests/place.ts";
import { waterfall } from "../../../src/cli/requests/waterfall.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { readRecentRequests } from "../../../src/observe/recent-request.ts";
import type { StoredSpan } from "../../../src/traces/trace.ts";
import { treeOf } from "../../../src/traces/tree.ts";

const FRONTEND = { namespace: "shop", name: "frontend-1", ip: "10.1.0.2", serviceAccount: "frontend" };
const API = { namespace: "shop", name: "api-1", ip: "10.1.0.3", serviceAccount: "api" };
const OUT = { direction: "outbound", cluster: "outbound|8080|v1|api.shop.svc.cluster.local", protocol: "HTTP/1.1" };
const IN = {
  direction: "inbound",
  cluster: "inbound|8080||",
  protocol: "HTTP/1.1",
  source: { identity: "spiffe://cluster.local/ns/shop/sa/frontend", address: "10.1.0.2:4711" },
};

function seen(pod: SeenRequest["pod"], fields: object): SeenRequest {
  const [request] = readRecentRequests({ requests: [fields] })?.requests ?? [];
  assert.ok(request !== undefined);
  return { pod, request };
}

const CALL = seen(FRONTEND, { ...OUT, code: 403, startTimeMs: 1000, durationMs: 5, path: "/api/x", method: "GET" });
const REFUSED = seen(API, {
  ...IN,
  code: 403,
  startTimeMs: 1000,
  durationMs: 1,
  method: "DELETE",
  path: "/api/x?y=1",
  authority: "api:8080",
  details: "rbac_access_denied_matched_policy[none]",
  cause: "AuthorizationPolicy: no ALLOW policy matches",
});

describe("filters", () => {
  const passes = (options: FilterOptions, each: SeenRequest) => requestFilter(options)(each);

  it("know callers and services by all their names", () => {
    for (const from of ["frontend", "shop/frontend", "frontend.shop"]) {
      assert.ok(passes({ from }, CALL), from);
      assert.ok(passes({ from }, REFUSED), from);
    }
    for (const to of ["api", "shop/api", "api.shop"]) assert.ok(passes({ to }, CALL), to);
    assert.ok(!passes({ from: "api" }, CALL));
    assert.ok(!passes({ to: "frontend" }, CALL));
  });

  it("know codes, durations and paths, all of which must hold", () => {
    assert.ok(passes({ code: "4xx" }, CALL) && passes({ code: "503,403" }, CALL) && !passes({ code: "5xx" }, CALL));
    assert.ok(passes({ code: "none" }, seen(API, { protocol: "HTTP/1.1" })));
    assert.ok(!passes({ code: "none" }, seen(API, { protocol: "TCP" })));
    assert.ok(passes({ slow: "5ms", path: "/api" }, CALL) && !passes({ slow: "6ms", path: "/api" }, CALL));
    assert.throws(() => requestFilter({ code: "6xx" }), /--code 6xx is no status/);
    assert.throws(() => requestFilter({ slow: "soon" }), /--slow soon is no duration/);
  });
});

describe("hops", () => {
  it("go from caller to called, and the innermost that failed is where it went wrong", () => {
    const hops = inOrder([REFUSED, CALL]);
    assert.deepEqual(hops, [CALL, REFUSED]);
    assert.equal(culprit(hops), REFUSED);
    assert.equal(culprit([seen(API, { ...IN, code: 200 })]), undefined);
  });

  it("have the port of their cluster, or of an address", () => {
    assert.deepEqual([portOf("inbound|8081||", "10.1.0.3:15006"), portOf("", "10.1.0.3:90")], [8081, 90]);
  });
});

const MANIFESTS = `
apiVersion: v1
kind: Pod
metadata: {name: api-1, namespace: shop, labels: {app: api}}
spec: {serviceAccountName: api, containers: [{name: app, image: api}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: api
  namespace: shop
spec:
  selector: {matchLabels: {app: api}}
  rules:
  - from:
    - source: {principals: ["cluster.local/ns/shop/sa/frontend"]}
    to:
    - operation:
        methods: ["GET"]
        paths: ["/api/*"]
`;

describe("an explanation", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-requests-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "shop.yaml");
  writeFileSync(file, MANIFESTS);
  const objects = readObjects([file], "default");
  const places = makePlaces([file], objects);

  it("names the file and line of what a cause names", () => {
    const place = places.find("AuthorizationPolicy shop/api spec.rules[0]: denied");
    assert.deepEqual(
      [place?.resource, place?.path, place?.file, place?.line],
      ["AuthorizationPolicy shop/api", "spec.rules[0]", file, 15],
    );
    assert.equal(places.find("no healthy endpoint"), undefined);
    assert.equal(places.find("VirtualService shop/none spec.http[0]")?.value, undefined);
  });

  it("says when what is in force is not what was applied", () => {
    const applied = { spec: { rules: [{ to: [{ operation: { methods: ["GET"] } }] }] } };
    const text = JSON.stringify(applied);
    const changed = objects.map((each) => ({
      ...each,
      metadata: {
        ...each.metadata,
        annotations: { "kubectl.kubernetes.io/last-applied-configuration": text },
      },
    }));
    const text0 = "AuthorizationPolicy shop/api spec.rules[0]";
    assert.equal(makePlaces([], changed).find(`${text0}.to[0].operation.methods`)?.isChanged, false);
    assert.equal(makePlaces([], changed).find(`${text0}.from`)?.isChanged, false);
    const other = changed.map((each) => ({
      ...each,
      metadata: {
        ...each.metadata,
        annotations: {
          "kubectl.kubernetes.io/last-applied-configuration": text.replace("GET", "POST"),
        },
      },
    }));
    assert.equal(makePlaces([], other).find(text0)?.isChanged, true);
  });

  it("says which field of which policy refused", async () => {
    const world = buildWorld(objects, defaultMeshConfig);
    assert.ok(isRefused(REFUSED) && !isRefused(CALL));
    const authorization = judge(world, REFUSED);
    const plain = { rule: undefined, cause: undefined, rules: [], configuration: "" };
    const hops: readonly Hop[] = [
      { ...plain, seen: CALL, authorization: undefined },
      { ...plain, seen: REFUSED, authorization },
    ];
    const text = await explanationText(hops);
    assert.match(text, /^GET \/api\/x {2}403 {2}5.0 ms$/m);
    assert.match(text, /^2\. api-1\.shop {2}inbound {2}← here$/m);
    assert.match(text, /spec\.rules\[0\]\.to\[0\]\.operation\.methods {2}was DELETE, the rule wants GET/);
  });
});

it("a waterfall has each span below its parent, and what nobody reported", () => {
  const span = (spanId: string, parentId: string | undefined, more: Partial<StoredSpan> = {}): StoredSpan => ({
    traceId: "a".repeat(32),
    spanId: spanId.padStart(16, "0"),
    parentId: parentId?.padStart(16, "0"),
    kind: "client",
    shared: false,
    service: "web",
    name: `call ${spanId}`,
    startUs: 0,
    durationUs: 1000,
    isError: false,
    tags: { "http.status_code": "200" },
    events: [],
    ...more,
  });
  const spans = [
    span("4", "2", { startUs: 600, durationUs: 400, service: "db" }),
    span("2", "1", { startUs: 100, durationUs: 900, kind: "server", service: "api" }),
    span("1", undefined),
    span("3", "2", { startUs: 200, durationUs: 100, tags: { "http.status_code": "503", response_flags: "UF" } }),
  ];
  const summary = {
    traceId: "a".repeat(32),
    service: "web",
    operation: "call 1",
    startUs: 0,
    durationUs: 1000,
    spans: 4,
    errors: 1,
    services: ["api", "db", "web"],
  };
  const lines = waterfall({ summary, root: treeOf(spans), left: 0 }).split("\n");
  assert.deepEqual(lines.slice(3), [
    "web  call 1      200         1.0 ms  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━",
    "└ api  call 2    200         0.9 ms  ···━━━━━━━━━━━━━━━━━━━━━━━━━━━━━",
    "  ├ web  call 3  503 UF      0.1 ms  ······━━━·······················",
    "  └ db  call 4   200         0.4 ms  ···················━━━━━━━━━━━━━",
  ]);
  const orphans = treeOf([span("7", "9"), span("8", "9")]);
  assert.deepEqual([orphans.span, orphans.spanId, orphans.children.length], [undefined, "9".padStart(16, "0"), 2]);
  // Zipkin's shared spans, and parents that lead in a circle.
  const shared = treeOf([span("2", "1", { kind: "server", shared: true }), span("2", "1"), span("1", undefined)]);
  assert.deepEqual(shared.children[0]?.children[0]?.span?.kind, "server");
  assert.equal(treeOf([span("1", "2"), span("2", "1")]).children.length > 0, true);
});
