// Rules across fields, warnings for what is not acted on, and what a merge patch loses.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { destinationRuleKind } from "../../../src/api/istio/destination-rule.ts";
import { gatewayKind } from "../../../src/api/istio/gateway.ts";
import { istioKinds } from "../../../src/api/istio/kinds.ts";
import { parseDurationMs } from "../../../src/api/istio/rules.ts";
import { telemetryKind } from "../../../src/api/istio/telemetry.ts";
import { type VirtualService, virtualServiceKind } from "../../../src/api/istio/virtual-service.ts";
import { eraseKind, type Kind } from "../../../src/api/kind.ts";
import { judge } from "./structure.ts";

function errors(kind: Kind, spec: object): string[] {
  const verdict = judge(kind, { apiVersion: "x/v1", kind: kind.kind, metadata: { name: "n" }, spec });
  return [
    ...verdict.structural,
    ...verdict.issues.filter((issue) => issue.severity === "error").map((issue) => issue.path),
  ];
}

function warnings(kind: Kind, spec: object): string[] {
  const verdict = judge(kind, { apiVersion: "x/v1", kind: kind.kind, metadata: { name: "n" }, spec });
  assert.deepEqual(verdict.structural, []);
  return verdict.issues.filter((issue) => issue.severity === "warning").map((issue) => issue.path);
}

const virtualService = eraseKind(virtualServiceKind);
const destinationRule = eraseKind(destinationRuleKind);

describe("durations", () => {
  it("reads Go's text", () => {
    assert.equal(parseDurationMs("1m30s"), 90_000);
    assert.equal(parseDurationMs("250ms"), 250);
    assert.equal(parseDurationMs("1.5s"), 1_500);
    assert.equal(parseDurationMs("10"), undefined);
    assert.equal(parseDurationMs("ten"), undefined);
  });
});

describe("VirtualService", () => {
  const route = [{ destination: { host: "api" } }];

  it("names the place of each mistake", () => {
    const cases: readonly (readonly [object, readonly string[]])[] = [
      [{ hosts: ["api"] }, ["spec"]],
      [{ hosts: ["*"], http: [{ route }] }, ["spec.hosts[0]"]],
      [{ hosts: ["a b"], http: [{ route }] }, ["spec.hosts[0]"]],
      [{ hosts: ["api"], http: [{}] }, ["spec.http[0]"]],
      [{ hosts: ["api"], http: [{ route, redirect: { uri: "/" } }] }, ["spec.http[0]"]],
      [
        { hosts: ["api"], http: [{ route: [{ destination: { host: "" } }] }] },
        ["spec.http[0].route[0].destination.host"],
      ],
      [{ hosts: ["api"], http: [{ route: [...route, ...route] }] }, ["spec.http[0].route"]],
      [{ hosts: ["api"], http: [{ route, timeout: "soon" }] }, ["spec.http[0].timeout"]],
      [{ hosts: ["api"], http: [{ route, retries: { retryOn: "5xx,whim" } }] }, ["spec.http[0].retries.retryOn"]],
      [{ hosts: ["api"], http: [{ route, match: [{ uri: { regex: "(" } }] }] }, ["spec.http[0].match[0].uri.regex"]],
      [
        { hosts: ["api"], http: [{ route, match: [{ uri: { exact: "/", prefix: "/" } }] }] },
        ["spec.http[0].match[0].uri"],
      ],
      [
        { hosts: ["api"], http: [{ route, fault: { abort: { httpStatus: 42 } } }] },
        ["spec.http[0].fault.abort.httpStatus"],
      ],
    ];
    for (const [spec, paths] of cases) assert.deepEqual(errors(virtualService, spec), paths, JSON.stringify(spec));
  });

  it("warns of fields that are not acted on, with the exact path", () => {
    const spec = {
      hosts: ["api"],
      http: [{ route }, { route, fault: { delay: { fixedDelay: "1s", exponentialDelay: "1s" } } }],
    };
    assert.deepEqual(warnings(virtualService, spec), ["spec.http[1].fault.delay.exponentialDelay"]);
  });

  it("warns of matches by the claims of tokens", () => {
    const match = [{ headers: { "@request.auth.claims.groups": { exact: "admin" } } }];
    assert.deepEqual(warnings(virtualService, { hosts: ["api"], http: [{ route, match }] }), [
      "spec.http[0].match[0].headers[@request.auth.claims.groups]",
    ]);
  });

  it("names what a merge patch of the http list lost", () => {
    const split = (weight: number) => [
      { destination: { host: "api", subset: "v1" }, weight },
      { destination: { host: "api", subset: "v2" }, weight: 100 - weight },
    ];
    const make = (http: NonNullable<VirtualService["spec"]["http"]>): VirtualService => ({
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name: "api" },
      spec: { hosts: ["api"], http },
    });
    const full = {
      match: [{ uri: { prefix: "/" } }],
      route: split(90),
      timeout: "10s",
      retries: { attempts: 3, perTryTimeout: "5s" },
    };
    const issues = virtualServiceKind.check?.(make([{ route: split(75) }]), make([full])) ?? [];
    assert.equal(issues.length, 1);
    assert.equal(issues[0]?.path, "spec.http[0]");
    assert.match(issues[0]?.message ?? "", /no longer has match, timeout 10s, retries \(attempts, perTryTimeout\)/);
    assert.deepEqual(virtualServiceKind.check?.(make([{ ...full, route: split(75) }]), make([full])), []);
  });
});

describe("DestinationRule", () => {
  it("accepts weft's additions and warns of the deprecated field", () => {
    const outlierDetection = {
      consecutiveErrors: 5,
      minRequestVolume: 10,
      consecutiveConnectFailure: 5,
      interval: "30s",
    };
    const spec = { host: "api", trafficPolicy: { outlierDetection } };
    assert.deepEqual(errors(destinationRule, spec), []);
    assert.deepEqual(warnings(destinationRule, spec), ["spec.trafficPolicy.outlierDetection.consecutiveErrors"]);
  });

  it("names duplicates and contradictions", () => {
    const subsets = [{ name: "v1" }, { name: "v1" }];
    assert.deepEqual(errors(destinationRule, { host: "api", subsets }), ["spec.subsets[1].name"]);
    const tls = { mode: "MUTUAL" };
    assert.deepEqual(errors(destinationRule, { host: "api", trafficPolicy: { tls } }), [
      "spec.trafficPolicy.tls.clientCertificate",
      "spec.trafficPolicy.tls.privateKey",
    ]);
  });

  it("warns of ineffective fields in every place", () => {
    const trafficPolicy = { connectionPool: { http: { useClientProtocol: true } } };
    const spec = { host: "api", trafficPolicy, subsets: [{ name: "v1", trafficPolicy }] };
    assert.deepEqual(warnings(destinationRule, spec), [
      "spec.trafficPolicy.connectionPool.http.useClientProtocol",
      "spec.subsets[0].trafficPolicy.connectionPool.http.useClientProtocol",
    ]);
  });

  it("checks places and their shares", () => {
    const at = "spec.trafficPolicy.loadBalancer.localityLbSetting";
    const check = (localityLbSetting: object, outlierDetection?: object) =>
      errors(destinationRule, {
        host: "api",
        trafficPolicy: { loadBalancer: { localityLbSetting }, ...(outlierDetection && { outlierDetection }) },
      });
    const detection = { consecutive5xxErrors: 5 };
    const cases: readonly (readonly [object, readonly string[]])[] = [
      [{ failover: [{ from: "eu", to: "us" }] }, []],
      [{ failover: [{ from: "eu", to: "eu" }] }, [".failover[0]"]],
      [{ failover: [{ from: "eu/a", to: "*" }] }, [".failover[0].from", ".failover[0].to"]],
      [{ failoverPriority: ["a.b/c=d", "a.b/c", "a b"] }, [".failoverPriority[1]", ".failoverPriority[2]"]],
      [{ distribute: [{ from: "eu/*", to: { "eu/a": 60, us: 40 } }] }, []],
      [{ distribute: [{ from: "eu/*", to: { "eu/a": 60, us: 30 } }] }, [".distribute[0].to"]],
      [{ distribute: [{ from: "*/a", to: { "eu//c": 100 } }] }, [".distribute[0].from", ".distribute[0].to[eu//c]"]],
      [{ distribute: [{ from: "eu", to: { "us/*": 50, "us/a": 50 } }] }, [".distribute[0].to"]],
      [
        {
          distribute: [
            { from: "eu", to: { us: 100 } },
            { from: "eu/a", to: { us: 100 } },
          ],
        },
        [".distribute"],
      ],
      [{ distribute: [{ from: "eu", to: { us: 100 } }], failover: [{ from: "eu", to: "us" }] }, [""]],
    ];
    for (const [setting, paths] of cases) {
      const found = check(setting, detection);
      assert.deepEqual(
        found,
        paths.map((path) => `${at}${path}`),
        JSON.stringify(setting),
      );
    }
    assert.deepEqual(check({ failover: [{ from: "eu", to: "us" }] }), [at]);
  });

  it("says what can't act, and what is out of range", () => {
    const warmup = { duration: "30s" };
    const tls = { mode: "SIMPLE", caCrl: "/etc/crl.pem" };
    const outlierDetection = { outlierDetectionHttpErrorCodes: [429, 99] };
    assert.deepEqual(
      warnings(destinationRule, { host: "api", trafficPolicy: { loadBalancer: { simple: "RANDOM", warmup } } }),
      ["spec.trafficPolicy.loadBalancer.warmup"],
    );
    assert.deepEqual(errors(destinationRule, { host: "api", trafficPolicy: { tls, outlierDetection } }), [
      "spec.trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes[1]",
      "spec.trafficPolicy.tls.caCrl",
    ]);
  });
});

describe("all kinds", () => {
  it("accept the post's Telemetry without a warning", () => {
    const tracing = [
      { providers: [{ name: "jaeger" }], randomSamplingPercentage: 10, useRequestIdForTraceSampling: true },
    ];
    assert.deepEqual(warnings(eraseKind(telemetryKind), { tracing }), []);
    assert.deepEqual(warnings(eraseKind(telemetryKind), { metrics: [{}] }), ["spec.metrics"]);
  });

  it("have distinct names", () => {
    const names = istioKinds.flatMap((kind) => [kind.plural, ...kind.shortNames]);
    assert.equal(new Set(names.filter((name) => name !== "telemetry")).size, names.length - 1);
  });
});

describe("Gateway", () => {
  const gateway = eraseKind(gatewayKind);
  const http = { port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["a.example.com"] };
  const https = { port: { number: 443, name: "https", protocol: "HTTPS" }, hosts: ["*"] };
  const simple = { mode: "SIMPLE", credentialName: "web" };

  it("names the place of each mistake", () => {
    const cases: readonly (readonly [object, readonly string[]])[] = [
      [{ selector: { istio: "ingressgateway" } }, ["spec.servers"]],
      [{ servers: [http, { ...http, hosts: ["b.example.com"] }] }, ["spec.servers[1].port.name"]],
      [{ servers: [{ ...http, hosts: [] }] }, ["spec.servers[0].hosts"]],
      [
        { servers: [{ ...http, hosts: ["a", "x/y/z", "UP/a.b", "a b.c"] }] },
        [0, 1, 2, 3].map((i) => `spec.servers[0].hosts[${i}]`),
      ],
      [{ servers: [{ ...http, port: { ...http.port, protocol: "UDP" } }] }, ["spec.servers[0].port.protocol"]],
      [
        { servers: [{ ...http, port: { ...http.port, number: 0, name: "" } }] },
        ["spec.servers[0].port.number", "spec.servers[0].port.name"],
      ],
      [{ servers: [{ ...http, bind: "unix:///a" }] }, ["spec.servers[0].port.number"]],
      [{ servers: [{ ...http, bind: "unix:///a", port: { ...http.port, number: 0 } }] }, []],
      [{ servers: [{ ...http, bind: "a" }] }, ["spec.servers[0].bind"]],
      [{ servers: [{ ...http, defaultEndpoint: "10.0.0.1:80" }] }, ["spec.servers[0].defaultEndpoint"]],
      [{ servers: [{ ...http, port: { ...http.port, targetPort: 0 } }] }, ["spec.servers[0].port.targetPort"]],
      [{ servers: [{ ...http, tls: simple }] }, ["spec.servers[0].tls.mode"]],
      [
        { servers: [{ ...http, port: { ...http.port, protocol: "TCP" }, tls: { httpsRedirect: true } }] },
        ["spec.servers[0].tls"],
      ],
      [{ servers: [https] }, ["spec.servers[0].tls"]],
      [
        { servers: [{ ...https, tls: { mode: "SIMPLE" } }] },
        ["spec.servers[0].tls.serverCertificate", "spec.servers[0].tls.privateKey"],
      ],
      [
        { servers: [{ ...https, tls: { mode: "MUTUAL", serverCertificate: "/a", privateKey: "/b" } }] },
        ["spec.servers[0].tls.caCertificates"],
      ],
      [{ servers: [{ ...https, tls: { ...simple, credentialNames: ["a"] } }] }, ["spec.servers[0].tls"]],
      [
        { servers: [{ ...https, tls: { mode: "ISTIO_MUTUAL", credentialName: "a" } }] },
        ["spec.servers[0].tls.credentialName"],
      ],
      [
        { servers: [{ ...https, tls: { ...simple, minProtocolVersion: "TLSV1_3", maxProtocolVersion: "TLSV1_2" } }] },
        ["spec.servers[0].tls.minProtocolVersion"],
      ],
    ];
    for (const [spec, paths] of cases) assert.deepEqual(errors(gateway, spec), paths, JSON.stringify(spec));
  });

  it("takes what Istio takes, and warns of what has no effect", () => {
    const good = [
      http,
      { ...https, tls: simple },
      {
        ...https,
        port: { ...https.port, name: "b" },
        hosts: ["ns/*.b.c", "./d.e", "*/f.g"],
        tls: { mode: "PASSTHROUGH" },
      },
    ];
    assert.deepEqual(errors(gateway, { servers: good }), []);
    assert.deepEqual(warnings(gateway, { servers: good }), []);
    const odd = {
      ...https,
      tls: { mode: "PASSTHROUGH", credentialName: "a", cipherSuites: ["NONE-AT-ALL"] },
      defaultEndpoint: "127.0.0.1:80",
    };
    assert.deepEqual(warnings(gateway, { servers: [odd] }), [
      "spec.servers[0].tls.cipherSuites[0]",
      "spec.servers[0].tls.credentialName",
    ]);
  });
});
