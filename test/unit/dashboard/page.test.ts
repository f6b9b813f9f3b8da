// The parts of the page that only compute: figures as text, folding, and where things stand.

import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { duration, milliseconds, number, percent, rate, share } from "../../../dashboard/src/format.ts";
import { fold } from "../../../dashboard/src/graph/fold.ts";
import { layOut, NODE_HEIGHT, NODE_WIDTH, pathOf, TRACK_STEP, trackOf } from "../../../dashboard/src/graph/layout.ts";
import type { GraphEdge, GraphNode } from "../../../src/dashboard/shapes.ts";

const NOTHING_FOLDED = { folded: new Set<string>(), namespaces: new Set<string>(), showIdle: true };

function node(id: string): GraphNode {
  const [namespace = "", name = ""] = id.split("/");
  return { id, namespace, name, kind: "service", endpoints: 2, sidecars: 2, errors: 0, warnings: 0 };
}

function edge(from: string, to: string, rest: Partial<GraphEdge> = {}): GraphEdge {
  return {
    ...{ from, to, protocol: "http", rate: 10, errorShare: 0, refusedShare: 0, requests: 300, mtls: "all" },
    ...{ p50Ms: 2, p99Ms: 9 },
    ...rest,
  };
}

test("figures keep what matters of them", () => {
  assert.deepEqual([0, 0.004, 0.25, 12.34, 99.96, 4210].map(number), ["0", "<0.01", "0.25", "12.3", "100", "4,210"]);
  assert.equal(rate(2), "2/s");
  assert.deepEqual([0, 0.0004, 0.034, 0.5, 0.9999, 1].map(share), [
    "0 %",
    "<0.1 %",
    "3.4 %",
    "50 %",
    ">99.9 %",
    "100 %",
  ]);
  assert.equal(percent(90), "90 %");
  assert.deepEqual([undefined, 0.4, 4.25, 430, 1_200, 61_000].map(milliseconds), [
    "–",
    "<1 ms",
    "4.3 ms",
    "430 ms",
    "1.2 s",
    "61 s",
  ]);
  assert.deepEqual([5_000, 300_000, 7_300_000, 200_000_000].map(duration), ["5 s", "5 min", "2 h", "2 d"]);
});

test("a folded namespace stands for its services, and what crosses its border adds up", () => {
  const nodes = ["a/one", "a/two", "b/three", "b/idle"].map(node);
  const edges = [
    edge("a/one", "a/two"),
    edge("a/one", "b/three", { requests: 100, errorShare: 0.5, p99Ms: 20 }),
    edge("a/two", "b/three", { requests: 300, mtls: "none", p99Ms: 5 }),
  ];
  const drawn = fold(nodes, edges, { ...NOTHING_FOLDED, folded: new Set(["a"]), showIdle: false });
  assert.deepEqual(
    drawn.nodes.map(({ id, size, kind }) => ({ id, size, kind })),
    [
      { id: "a/", size: 2, kind: "namespace" },
      { id: "b/three", size: 1, kind: "service" },
    ],
  );
  const [only, ...more] = drawn.edges;
  assert.equal(more.length, 0);
  assert.deepEqual(only, {
    ...{ id: "a/ b/three", from: "a/", to: "b/three", protocols: ["http"], rate: 20, requests: 400, errorShare: 0.125 },
    ...{ refusedShare: 0, p50Ms: 2, p99Ms: 20, mtls: "some" },
  });
});

test("of a chosen namespace its neighbours are shown too, and nobody else", () => {
  const nodes = ["a/one", "b/two", "c/three"].map(node);
  const edges = [edge("a/one", "b/two"), edge("b/two", "c/three")];
  const drawn = fold(nodes, edges, { ...NOTHING_FOLDED, namespaces: new Set(["a"]) });
  assert.deepEqual(
    drawn.nodes.map(({ id }) => id),
    ["a/one", "b/two"],
  );
  assert.deepEqual(
    drawn.edges.map(({ id }) => id),
    ["a/one b/two"],
  );
});

test("whatever calls whatever: nodes don't overlap, boxes hold their own, lines begin and end where they should", () => {
  const ids = ["a/1", "a/2", "a/3", "b/1", "b/2", "c/1", "/outside"];
  const pairs = fc.uniqueArray(fc.tuple(fc.constantFrom(...ids), fc.constantFrom(...ids)), {
    selector: ([from, to]) => `${from} ${to}`,
    maxLength: 16,
  });
  fc.assert(
    fc.property(pairs, fc.constantFrom("LR" as const, "TB" as const), (calls, direction) => {
      const drawn = fold(
        ids.map(node),
        calls.map(([from, to]) => edge(from, to)),
        NOTHING_FOLDED,
      );
      const layout = layOut(drawn, direction);
      const boxes = [...layout.nodes];
      for (const [i, [, one]] of boxes.entries()) {
        for (const [, other] of boxes.slice(i + 1)) {
          const apart = Math.abs(one.x - other.x) >= NODE_WIDTH || Math.abs(one.y - other.y) >= NODE_HEIGHT;
          assert.ok(apart, "two nodes overlap");
        }
      }
      for (const { id, group } of drawn.nodes) {
        const [own, box] = [layout.nodes.get(id), layout.groups.get(group ?? "")];
        assert.ok(own !== undefined && (group === undefined || box !== undefined));
        if (box === undefined) continue;
        assert.ok(Math.abs(own.x - box.x) <= box.width / 2 && Math.abs(own.y - box.y) <= box.height / 2);
      }
      assert.equal(layout.edges.size, drawn.edges.length);
      for (const laid of layout.edges.values()) assert.match(laid.path, /^M[\d.,-]+(Q[\d.,-]+ [\d.,-]+|L[\d.,-]+)+$/);
    }),
    { numRuns: 40 },
  );
});

test("what runs along a line does so evenly, from its beginning to its end", () => {
  const points = [
    { x: 0, y: 0 },
    { x: 50, y: 0 },
    { x: 100, y: 80 },
    { x: 200, y: 80 },
  ];
  const track = trackOf(points);
  for (const [i, point] of track.slice(1).entries()) {
    const before = track[i] ?? point;
    assert.ok(Math.abs(Math.hypot(point.x - before.x, point.y - before.y) - TRACK_STEP) < 0.4);
  }
  const last = track.at(-1) ?? { x: 0, y: 0 };
  assert.deepEqual(track[0], { x: 0, y: 0 });
  assert.ok(Math.hypot(last.x - 200, last.y - 80) <= TRACK_STEP);
  assert.equal(
    pathOf([
      { x: 1, y: 2 },
      { x: 3, y: 4 },
    ]),
    "M1,2L3,4",
  );
});

test("fifty services in six namespaces are laid out while nobody notices, folded or not", () => {
  const ids = Array.from({ length: 50 }, (_none, i) => `ns-${i % 6}/service-${i}`);
  // Gateways call services, those call what is behind them, of their own namespace and of others.
  const calls = ids.flatMap((id, i) =>
    [i + 6, 2 * i + 3].flatMap((to) => (ids[to] === undefined ? [] : [edge(id, ids[to])])),
  );
  const unfolded = fold(ids.map(node), calls, NOTHING_FOLDED);
  const startMs = performance.now();
  const layout = layOut(unfolded, "LR");
  const tookMs = performance.now() - startMs;
  assert.equal(layout.nodes.size, 50);
  assert.ok(tookMs < 1_000, `${Math.round(tookMs)} ms`);
  const folded = fold(ids.map(node), calls, {
    ...NOTHING_FOLDED,
    folded: new Set(ids.map((id) => id.split("/")[0] ?? "")),
  });
  assert.equal(folded.nodes.length, 6);
  const crossing = calls.filter(({ from, to }) => from === to || from.split("/")[0] !== to.split("/")[0]);
  assert.equal(
    folded.edges.reduce((sum, { requests }) => sum + requests, 0),
    crossing.length * 300,
  );
});
