// Plain HTTP at a gateway.

import assert from "node:assert/strict";
import { until } from "../unit/control/mesh.ts";
import { answers, ask, gatewayWorld, type Scenario } from "./world.ts";

const GATEWAY = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: $http, name: http, protocol: HTTP}
    hosts: ["*.example.com"]
  - port: {number: $http, name: http-redirect, protocol: HTTP}
    hosts: [secure.example.org]
    tls: {httpsRedirect: true}
`;

const ROUTES = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: production}
spec:
  hosts: [web.example.com]
  gateways: [edge/web]
  http:
  - match: [{uri: {prefix: /old}}]
    redirect: {uri: /new}
  - route: [{destination: {host: web}}]
`;

const host: Scenario = {
  name: "a gateway serves hosts once a VirtualService is bound, redirects to https, and says why it has no route",
  run: async (t, engine) => {
    const world = await gatewayWorld(t, engine, ["http"]);
    await world.apply(GATEWAY);
    await world.connect();
    const port = world.port("http");
    await until("the port is open", () => answers({ port, host: "a" }, 404));

    const unbound = await ask({ port, host: "web.example.com" });
    assert.equal(unbound.status, 404);
    const why = /no virtual host of http\.\d+ has the domain web\.example\.com/;
    assert.match(String(unbound.headers["x-weft-cause"]), engine.name === "weft" ? why : /undefined/);

    const secure = await ask({ port, host: "secure.example.org", path: "/a?b=c" });
    assert.equal(secure.status, 301);
    assert.equal(secure.headers["location"], "https://secure.example.org/a?b=c");

    await world.apply(ROUTES);
    await until("the route is there", () => answers({ port, host: "web.example.com" }));
    const answer = await ask({
      port,
      host: "web.example.com:80",
      headers: { "x-forwarded-for": "6.6.6.6, 1.2.3.4", "x-envoy-retry-on": "5xx" },
    });
    assert.equal(answer.status, 200);
    const seen: unknown = JSON.parse(answer.body);
    // Envoy notes the machine's address for a caller on loopback.
    const own = engine.name === "weft" ? /^6\.6\.6\.6, 1\.2\.3\.4,127\.0\.0\.1$/ : /^6\.6\.6\.6, 1\.2\.3\.4,[\d.]+$/;
    assert.match(String(Reflect.get(Object(seen), "x-forwarded-for")), own);
    const external = Reflect.get(Object(seen), "x-envoy-external-address");
    assert.equal(external, "1.2.3.4", "what the trusted proxy noted, not what its client said");
    assert.equal(
      Reflect.get(Object(seen), "x-envoy-retry-on"),
      undefined,
      "a stranger's word about retries is not passed on",
    );
    assert.equal(
      (await ask({ port, host: "web.example.com", path: "/old/x" })).headers["location"],
      "http://web.example.com/new",
    );
    assert.equal((await ask({ port, host: "other.example.com" })).status, 404);
  },
};

export const httpScenarios: readonly Scenario[] = [host];
