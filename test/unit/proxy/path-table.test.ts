// Many routes: the index leaves routes out that can't match, and never changes which one wins.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RouteConfiguration } from "../../../src/proto/gen/envoy/config/route/v3/route.ts";
import { parseRequestHead } from "../../../src/proxy/codec/head.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileRoutes } from "../../../src/proxy/compile/route.ts";
import { findHost, findRoute } from "../../../src/proxy/route/find.ts";

const segments = fc.array(fc.constantFrom("a", "b", "ab"), { maxLength: 3 });
const path = segments.map((parts) => `/${parts.join("/")}`);
const match = fc.oneof(
  path.map((text) => ({ path: text })),
  path.map((text) => ({ prefix: text })),
  path.map((text) => ({ prefix: text, caseSensitive: false })),
  path.filter((text) => text.length > 1).map((text) => ({ pathSeparatedPrefix: text })),
  path.map((text) => ({ prefix: text, headers: [{ name: "x-never", presentMatch: true }] })),
  fc.constantFrom("/a.*", "/(a|b)/.*").map((regex) => ({ safeRegex: { regex } })),
  fc.constant({ prefix: "" }),
);

function hostOf(matches: readonly object[], more: object = {}) {
  const routes = matches.map((one, place) => ({ name: String(place), match: one, route: { cluster: "c" } }));
  const field = Field.root("r", "type.googleapis.com/envoy.config.route.v3.RouteConfiguration");
  const config = { name: "r", virtualHosts: [{ name: "all", domains: ["*"], routes }], ...more };
  const table = compileRoutes(RouteConfiguration.fromJSON(config), field);
  assert.deepEqual(field.refusals, []);
  const host = findHost(table, "x");
  assert.ok(host !== undefined);
  return host;
}

const parsed = parseRequestHead("GET / HTTP/1.1\r\nhost: x\r\n", {
  headersCountMax: 100,
  acceptHttp10: false,
  allowCustomMethods: false,
});

const NO_NOTES = { dynamicMetadata: () => undefined };

function inputOf(text: string) {
  assert.ok("method" in parsed);
  return {
    head: parsed,
    path: text,
    query: undefined,
    random: 0.5,
    presented: false,
    validated: false,
    notes: NO_NOTES,
  };
}

test("the first route that matches wins, whether or not the list is indexed", () => {
  fc.assert(
    fc.property(
      fc.array(match, { minLength: 16, maxLength: 40 }),
      fc.oneof(path, fc.constantFrom("*", "", "/A/b", "/a;v=1/b")),
      fc.boolean(),
      (matches, asked, ignorePathParametersInPathMatching) => {
        const host = hostOf(matches, { ignorePathParametersInPathMatching });
        assert.ok(host.index !== undefined);
        const expected = findRoute({ ...host, index: undefined }, inputOf(asked));
        assert.equal(findRoute(host, inputOf(asked))?.name, expected?.name);
      },
    ),
    { numRuns: 500 },
  );
});

test("of a thousand routes only those that name the path are asked", () => {
  const matches = Array.from({ length: 1000 }, (_unused, place) =>
    place % 2 === 0 ? { path: `/service-${place}` } : { prefix: `/service-${place}/` },
  );
  const host = hostOf([...matches, { prefix: "/" }]);
  let asked = 0;
  const routes = host.routes.map((route) => ({
    ...route,
    predicates: [
      (input: Parameters<(typeof route.predicates)[number]>[0]) => {
        asked += 1;
        return route.predicates.every((predicate) => predicate(input));
      },
    ],
  }));
  const counting = { ...host, routes };
  assert.equal(findRoute(counting, inputOf("/service-997/items"))?.name, "997");
  assert.equal(findRoute(counting, inputOf("/service-998"))?.name, "998");
  assert.equal(findRoute(counting, inputOf("/elsewhere"))?.name, "1000");
  assert.equal(asked, 3);
});
