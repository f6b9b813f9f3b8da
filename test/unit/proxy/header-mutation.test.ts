// The header-mutation filter where the walk table can't look: trailers, and what is refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Cluster } from "../../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { HeaderMutation } from "../../../src/proto/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileHeaderMutation } from "../../../src/proxy/compile/header-mutation.ts";
import { cluster, httpListener, httpOrigin, raw, routeAll, start } from "./harness.ts";

const add = (key: string, value: string) => ({ append: { header: { key, value } } });

function filter(mutations: Record<string, unknown>) {
  return {
    name: "envoy.filters.http.header_mutation",
    typeUrl: "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    bytes: HeaderMutation.encode(HeaderMutation.fromJSON({ mutations })).finish(),
  };
}

test("trailers of both directions are changed where they are forwarded", async () => {
  const seen: string[][] = [];
  const origin = await httpOrigin((request, response) => {
    request.resume();
    request.on("end", () => {
      seen.push(request.rawTrailers);
      response.writeHead(200, { trailer: "x-end" });
      response.write("a");
      response.addTrailers({ "x-end": "1" });
      response.end();
    });
  });
  const mutation = filter({
    requestTrailersMutations: [add("x-more", "yes"), { remove: "x-sum" }],
    responseTrailersMutations: [add("x-end", "2")],
  });
  const clusters: Cluster[] = [cluster("origin", [origin])];
  const hcm = { httpProtocolOptions: { enableTrailers: true } };
  const { port } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("origin")], filters: [mutation], hcm })],
    clusters,
  });
  const body = "1\r\nb\r\n0\r\nx-sum: 5\r\nx-kept: 6\r\n\r\n";
  const answer = await raw(port, `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${body}`, "x-end: 2");
  assert.deepEqual(seen, [["x-kept", "6", "x-more", "yes"]]);
  assert.match(answer, /\r\n0\r\nx-end: 1\r\nx-end: 2\r\n\r\n$/);
});

test("what can't be honoured is refused by its path", () => {
  const refusals = (mutations: Record<string, unknown>) => {
    const field = Field.root("main", "type.googleapis.com/test");
    compileHeaderMutation(HeaderMutation.fromJSON({ mutations }), field);
    return field.refusals.map((one) => one.path);
  };
  assert.deepEqual(refusals({ requestMutations: [add("Host", "a")] }), [
    "mutations.request_mutations[0].append.header.key",
  ]);
  assert.deepEqual(refusals({ responseMutations: [{ remove: ":status" }] }), [
    "mutations.response_mutations[0].remove",
  ]);
  assert.deepEqual(refusals({ requestMutations: [{}] }), ["mutations.request_mutations[0]"]);
  assert.deepEqual(refusals({ requestMutations: [add("x", "%NO_SUCH%")] }), [
    "mutations.request_mutations[0].append.header.value",
  ]);
  const query = { queryParameterMutations: [{ remove: "a" }] };
  assert.deepEqual(refusals(query), ["mutations.query_parameter_mutations"]);
});
