import assert from "node:assert/strict";
import { test } from "node:test";
import { eraseKind } from "../../../src/api/kind.ts";
import { podKind } from "../../../src/api/kubernetes/pod.ts";
import { serviceKind } from "../../../src/api/kubernetes/service.ts";
import { objectSchema } from "../../../src/api/validate.ts";
import { jsonPatch, mergePatch } from "../../../src/apiserver/json-patch.ts";
import { strategicPatch } from "../../../src/apiserver/strategic-patch.ts";

test("merge patch: RFC 7386's table", () => {
  const cases: [unknown, unknown, unknown][] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, wanted] of cases) assert.deepEqual(mergePatch(target, patch), wanted);
});

test("JSON patch: operations, pointers, and refusals that leave nothing half done", () => {
  const target = { a: { b: [1, 2] }, "x/y": { "m~n": 1 } };
  const good: [unknown[], unknown][] = [
    [[{ op: "add", path: "/a/b/1", value: 9 }], { a: { b: [1, 9, 2] }, "x/y": { "m~n": 1 } }],
    [[{ op: "add", path: "/a/b/-", value: 9 }], { a: { b: [1, 2, 9] }, "x/y": { "m~n": 1 } }],
    [[{ op: "replace", path: "/x~1y/m~0n", value: 2 }], { a: { b: [1, 2] }, "x/y": { "m~n": 2 } }],
    [[{ op: "remove", path: "/a/b/0" }], { a: { b: [2] }, "x/y": { "m~n": 1 } }],
    [[{ op: "move", from: "/a/b", path: "/c" }], { a: {}, "x/y": { "m~n": 1 }, c: [1, 2] }],
    [
      [
        { op: "test", path: "/a/b", value: [1, 2] },
        { op: "copy", from: "/a/b/0", path: "/d" },
      ],
      { ...target, d: 1 },
    ],
  ];
  for (const [operations, wanted] of good) assert.deepEqual(jsonPatch(target, operations), { ok: true, value: wanted });
  const bad = [
    [{ op: "remove", path: "/nothing" }],
    [{ op: "replace", path: "/a/b/7", value: 1 }],
    [{ op: "add", path: "/a/b/01", value: 1 }],
    [{ op: "add", path: "/no/where", value: 1 }],
    [{ op: "test", path: "/a/b/0", value: 2 }],
    [{ op: "add", path: "a", value: 1 }],
    [{ op: "jump", path: "/a" }],
    [{ op: "add", path: "/a" }],
    "no list",
  ];
  for (const operations of bad) assert.equal(jsonPatch(target, operations).ok, false, JSON.stringify(operations));
  const proto = jsonPatch({}, [{ op: "add", path: "/__proto__", value: { polluted: true } }]);
  assert.equal(Reflect.get({}, "polluted"), undefined);
  assert.ok(proto.ok);
});

test("strategic merge: list items by their key, with kubectl's directives", () => {
  const schema = objectSchema(eraseKind(podKind));
  const target = {
    metadata: { finalizers: ["a", "b"] },
    spec: {
      containers: [
        { name: "app", image: "1", env: [{ name: "A", value: "1" }] },
        { name: "side", image: "s" },
      ],
    },
  };
  const patch = {
    metadata: { "$deleteFromPrimitiveList/finalizers": ["a"] },
    spec: {
      "$setElementOrder/containers": [{ name: "new" }, { name: "app" }],
      containers: [
        { name: "app", env: [{ name: "B", value: "2" }] },
        { name: "new", image: "n" },
        { $patch: "delete", name: "side" },
      ],
    },
  };
  assert.deepEqual(strategicPatch(target, patch, schema), {
    metadata: { finalizers: ["b"] },
    spec: {
      containers: [
        { name: "new", image: "n" },
        {
          name: "app",
          image: "1",
          env: [
            { name: "A", value: "1" },
            { name: "B", value: "2" },
          ],
        },
      ],
    },
  });
  const ports = { spec: { selector: { a: "1" }, ports: [{ port: 80, name: "x" }] } };
  const service = objectSchema(eraseKind(serviceKind));
  assert.deepEqual(strategicPatch(ports, { spec: { selector: { a: null, b: "2" }, ports: [{ port: 81 }] } }, service), {
    spec: { selector: { b: "2" }, ports: [{ port: 80, name: "x" }, { port: 81 }] },
  });
  assert.deepEqual(strategicPatch(ports, { spec: { ports: [{ $patch: "replace" }, { port: 82 }] } }, service), {
    spec: { selector: { a: "1" }, ports: [{ port: 82 }] },
  });
});
