// Headers and trailers that a filter changes.

import type { Json, WalkCase } from "./case.ts";
import { says, TYPE, toOrigin } from "./route.ts";

const ANY = { prefix: "/" };

const append = (key: string, value: string, more: Json = {}): Json => ({ append: { header: { key, value }, ...more } });

function mutation(mutations: Json, more: Json = {}): Json {
  return {
    name: "envoy.filters.http.header_mutation",
    typedConfig: { "@type": `${TYPE}.filters.http.header_mutation.v3.HeaderMutation`, mutations, ...more },
  };
}

function perRoute(mutations: Json): Json {
  return {
    typedPerFilterConfig: {
      "envoy.filters.http.header_mutation": {
        "@type": `${TYPE}.filters.http.header_mutation.v3.HeaderMutationPerRoute`,
        mutations,
      },
    },
  };
}

export const mutationCases: readonly WalkCase[] = [
  {
    name: "mutation-request",
    filters: [
      mutation({
        requestMutations: [
          append("x-added", "one"),
          append("x-added", "two"),
          append("x-there", "no", { appendAction: "ADD_IF_ABSENT" }),
          append("x-set", "new", { appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" }),
          append("x-nowhere", "new", { appendAction: "OVERWRITE_IF_EXISTS" }),
          { remove: "x-gone" },
        ],
      }),
    ],
    routes: [toOrigin(ANY)],
    call: { headers: { "x-there": "yes", "x-set": "old", "x-gone": "1" } },
    expect: {
      status: 200,
      origin: {
        headers: { "x-added": "one, two", "x-there": "yes", "x-set": "new", "x-nowhere": null, "x-gone": null },
      },
    },
  },
  {
    name: "mutation-formats-values",
    filters: [mutation({ requestMutations: [append("x-path", "%REQ(:PATH)% %PROTOCOL%")] })],
    routes: [toOrigin(ANY)],
    call: { path: "/a?b" },
    expect: { status: 200, origin: { headers: { "x-path": "/a?b HTTP/1.1" } } },
  },
  {
    name: "mutation-response",
    filters: [
      mutation({
        responseMutations: [append("x-from-origin", "2"), { remove: "server" }, append("x-code", "%RESPONSE_CODE%")],
      }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 200, headers: { "x-from-origin": "1, 2", "x-code": "200" } },
  },
  {
    name: "mutation-of-local-answer",
    filters: [mutation({ responseMutations: [append("x-a", "b")] })],
    routes: [says(ANY, "here")],
    call: {},
    expect: { status: 200, body: "here", headers: { "x-a": "b" } },
  },
  {
    name: "mutation-levels",
    filters: [mutation({ requestMutations: [append("x-order", "filter")] })],
    routes: [toOrigin(ANY, {}, perRoute({ requestMutations: [append("x-order", "route")] }))],
    host: perRoute({ requestMutations: [append("x-order", "host")] }),
    call: {},
    expect: { status: 200, origin: { headers: { "x-order": "filter, route, host" } } },
  },
  {
    name: "mutation-levels-reversed",
    filters: [mutation({}, { mostSpecificHeaderMutationsWins: true })],
    routes: [toOrigin(ANY, {}, perRoute({ responseMutations: [append("x-order", "route")] }))],
    host: perRoute({ responseMutations: [append("x-order", "host")] }),
    call: {},
    expect: { status: 200, headers: { "x-order": "host, route" } },
  },
  {
    name: "mutation-off-for-route",
    filters: [mutation({ requestMutations: [append("x-a", "b")] })],
    routes: [
      toOrigin(
        ANY,
        {},
        {
          typedPerFilterConfig: {
            "envoy.filters.http.header_mutation": {
              "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
              disabled: true,
            },
          },
        },
      ),
    ],
    call: {},
    expect: { status: 200, origin: { headers: { "x-a": null } } },
  },
  {
    name: "mutation-removes-by-match",
    filters: [mutation({ requestMutations: [{ removeOnMatch: { keyMatcher: { prefix: "x-secret-" } } }] })],
    routes: [toOrigin(ANY)],
    call: { headers: { "x-secret-a": "1", "x-secret-b": "2", "x-open": "3" } },
    expect: { status: 200, origin: { headers: { "x-secret-a": null, "x-secret-b": null, "x-open": "3" } } },
  },
];
