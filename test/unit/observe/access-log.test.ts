import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type AccessRecord, ISTIO_DEFAULT_FORMAT } from "../../../src/observe/access-record.ts";
import { compileFormat, compileJsonFormat } from "../../../src/observe/format.ts";

const record: AccessRecord = {
  startTimeMs: Date.UTC(2026, 10, 22, 21, 37, 2, 123),
  durationMs: 12.4,
  requestHeaders: new Map([
    [":method", "GET"],
    [":path", "/api/orders?x=1"],
    [":authority", "api:8080"],
    ["user-agent", "curl/8"],
    ["x-request-id", "abc"],
  ]),
  responseHeaders: new Map([["x-envoy-upstream-service-time", "11"]]),
  protocol: "HTTP/1.1",
  responseCode: 200,
  responseFlags: "",
  responseCodeDetails: "via_upstream",
  connectionTerminationDetails: undefined,
  upstreamTransportFailureReason: undefined,
  bytesReceived: 0,
  bytesSent: 42,
  upstreamHost: "10.0.0.2:8080",
  upstreamCluster: "outbound|8080||api.production.svc.cluster.local",
  upstreamLocalAddress: "10.0.0.1:40000",
  downstreamLocalAddress: "10.96.0.7:8080",
  downstreamRemoteAddress: "10.0.0.1:39999",
  requestedServerName: undefined,
  routeName: "default",
};

function line(format: string, over: Partial<AccessRecord> = {}): string {
  const compiled = compileFormat(format);
  assert.ok(compiled.ok, compiled.ok ? "" : compiled.error);
  return compiled.value({ ...record, ...over });
}

describe("access log formats", () => {
  test("Istio's default", () => {
    assert.equal(
      line(ISTIO_DEFAULT_FORMAT),
      '[2026-11-22T21:37:02.123Z] "GET /api/orders?x=1 HTTP/1.1" 200 - via_upstream - "-" 0 42 12 11 "-" "curl/8" "abc" ' +
        '"api:8080" "10.0.0.2:8080" outbound|8080||api.production.svc.cluster.local 10.0.0.1:40000 10.96.0.7:8080 ' +
        "10.0.0.1:39999 - default\n",
    );
  });

  test("alternatives, lengths, times, percent signs", () => {
    assert.equal(line("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH):4%"), "/api");
    assert.equal(line("%START_TIME(%Y/%m/%d %H:%M:%S.%3f %s)%"), "2026/11/22 21:37:02.123 1795383422");
    assert.equal(line("100%% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"), "100% 10.0.0.1");
    assert.equal(line("%RESPONSE_CODE% %RESPONSE_FLAGS%", { responseCode: 0, responseFlags: "UF,URX" }), "0 UF,URX");
  });

  test("JSON keeps numbers and absent values", () => {
    const compiled = compileJsonFormat({
      code: "%RESPONSE_CODE%",
      sni: "%REQUESTED_SERVER_NAME%",
      text: "a %PROTOCOL%",
    });
    assert.ok(compiled.ok);
    assert.equal(compiled.value(record), '{"code":200,"sni":null,"text":"a HTTP/1.1"}\n');
  });

  test("JSON without what is absent, sorted", () => {
    const format = { b: "%PROTOCOL%", none: "%REQ(X-NONE)%", a: { z: "%BYTES_SENT%", y: "%REQ(X-NONE)%" } };
    const compiled = compileJsonFormat(format, { omitEmpty: true, sortProperties: true });
    assert.ok(compiled.ok);
    assert.equal(compiled.value(record), '{"a":{"z":42},"b":"HTTP/1.1"}\n');
  });

  test("networks of addresses", () => {
    const network = (bits: number, address: string) =>
      line(`%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(${bits})%`, { downstreamRemoteAddress: address });
    assert.equal(network(20, "10.1.255.3:1"), "10.1.240.0/20");
    assert.equal(network(0, "10.1.2.3:1"), "0.0.0.0/0");
    assert.equal(network(40, "[fd00:1:ff22::5]:1"), "fd00:1:ff00::/40");
  });

  test("certificates and TLS, where there are any", () => {
    const peer = {
      uriSans: ["spiffe://a/b"],
      dnsSans: ["a.test", "b.test"],
      ipSans: [],
      emailSans: [],
      subject: "CN=a",
      issuer: "CN=root",
      serial: "0a",
      fingerprint256: "ff",
      fingerprint1: "ee",
      pem: "-----BEGIN-----\n",
      validFromMs: Date.UTC(2026, 0, 2),
      validToMs: Date.UTC(2027, 0, 2),
    };
    const downstreamTls = { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256", peer, local: undefined };
    assert.equal(
      line(
        "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_DNS_SAN% " +
          "%DOWNSTREAM_PEER_IP_SAN% %DOWNSTREAM_PEER_SERIAL% %DOWNSTREAM_PEER_ISSUER% %DOWNSTREAM_PEER_FINGERPRINT_1% " +
          "%DOWNSTREAM_PEER_CERT_V_END(%Y-%m-%d)% %DOWNSTREAM_LOCAL_SUBJECT% %DOWNSTREAM_PEER_CERT%",
        { downstreamTls },
      ),
      "TLSv1.3 TLS_AES_128_GCM_SHA256 spiffe://a/b a.test,b.test - 0a CN=root ee 2027-01-02 - -----BEGIN-----%0A",
    );
  });

  test("gRPC's status in its three forms", () => {
    const grpc = {
      requestHeaders: new Map([["content-type", "application/grpc"]]),
      responseTrailers: new Map([["grpc-status", "4"]]),
    };
    assert.equal(
      line("%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%", grpc),
      "DeadlineExceeded DEADLINE_EXCEEDED 4",
    );
    assert.equal(line("%GRPC_STATUS%"), "-");
  });

  test("a wrong operator is named", () => {
    const unknown = compileFormat("%NOPE%");
    assert.ok(!unknown.ok);
    assert.match(unknown.error, /^%NOPE% is not an operator/);
    const open = compileFormat("x %PROTOCOL");
    assert.ok(!open.ok);
    assert.match(open.error, /no closing %/);
    const bare = compileFormat("%REQ%");
    assert.ok(!bare.ok);
    assert.match(bare.error, /needs the name of a header/);
  });
});

describe("metadata", () => {
  const withMetadata: AccessRecord = {
    ...record,
    dynamicMetadata: (namespace) =>
      namespace === "envoy.filters.http.jwt_authn" ? { payload: { sub: "me", exp: 5, groups: ["a", "b"] } } : undefined,
    routeMetadata: (namespace) => (namespace === "n" ? { k: true } : undefined),
  };
  const printed = (format: string) => {
    const compiled = compileFormat(format);
    assert.ok(compiled.ok, compiled.ok ? "" : compiled.error);
    return compiled.value(withMetadata);
  };
  test("is printed as text or as JSON, and as a dash where there is none", () => {
    const jwt = "envoy.filters.http.jwt_authn";
    assert.equal(printed(`%DYNAMIC_METADATA(${jwt}:payload:sub)%`), "me");
    assert.equal(printed(`%DYNAMIC_METADATA(${jwt}:payload:exp)%`), "5");
    assert.equal(printed(`%DYNAMIC_METADATA(${jwt}:payload:groups)%`), '["a","b"]');
    assert.equal(printed(`%DYNAMIC_METADATA(${jwt}:payload:toString)%`), "-");
    assert.equal(printed("%DYNAMIC_METADATA(other)% %METADATA(ROUTE:n:k)% %METADATA(DYNAMIC:x)%"), "- true -");
  });
  test("of another kind is refused", () => {
    assert.equal(compileFormat("%METADATA(CLUSTER:a:b)%").ok, false);
    assert.equal(compileFormat("%DYNAMIC_METADATA()%").ok, false);
  });
});
