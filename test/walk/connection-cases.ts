// What the connection manager does to every message: addresses, schemes, ids, its own headers, local replies, HTTP/1's forms.

import type { Json, WalkCase } from "./case.ts";
import { TYPE, toOrigin } from "./route.ts";

const ANY = { prefix: "/" };

type Wanted = Readonly<Record<string, string | RegExp | null>>;

/** The request headers that the origin sees, through a connection manager with these fields. */
function sends(name: string, manager: Json, headers: Readonly<Record<string, string>>, wanted: Wanted): WalkCase {
  return {
    name,
    routes: [toOrigin(ANY)],
    manager,
    call: { headers },
    expect: { status: 200, origin: { headers: wanted } },
  };
}

const EDGE = { useRemoteAddress: true };
const INTERNAL = { internalAddressConfig: { cidrRanges: [{ addressPrefix: "10.0.0.0", prefixLen: 8 }] } };
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const addresses: readonly WalkCase[] = [
  sends("xff-kept", {}, { "x-forwarded-for": "1.2.3.4" }, { "x-forwarded-for": "1.2.3.4" }),
  sends("xff-absent", {}, {}, { "x-forwarded-for": null }),
  sends(
    "xff-skip-append",
    { ...EDGE, skipXffAppend: true },
    { "x-forwarded-for": "1.2.3.4" },
    { "x-forwarded-for": "1.2.3.4" },
  ),
  sends("external-address", EDGE, {}, { "x-envoy-external-address": "127.0.0.1", "x-envoy-internal": null }),
  sends(
    "external-address-forged",
    EDGE,
    { "x-envoy-external-address": "9.9.9.9" },
    { "x-envoy-external-address": "127.0.0.1" },
  ),
  sends(
    "external-address-mesh",
    {},
    { "x-envoy-external-address": "9.9.9.9" },
    { "x-envoy-external-address": "9.9.9.9" },
  ),
  sends(
    "external-address-hops",
    { ...EDGE, xffNumTrustedHops: 1 },
    { "x-forwarded-for": "1.2.3.4" },
    { "x-envoy-external-address": "1.2.3.4" },
  ),
  sends("internal-by-range", INTERNAL, { "x-forwarded-for": "10.1.1.1" }, { "x-envoy-internal": "true" }),
  sends("internal-two-hops", INTERNAL, { "x-forwarded-for": "10.1.1.1,10.1.1.2" }, { "x-envoy-internal": null }),
  sends("internal-forged", {}, { "x-envoy-internal": "true" }, { "x-envoy-internal": null }),
  sends(
    "internal-keeps-envoy-headers",
    INTERNAL,
    { "x-forwarded-for": "10.1.1.1", "x-envoy-max-retries": "2" },
    { "x-envoy-max-retries": null, "x-envoy-internal": "true" },
  ),
  sends(
    "external-loses-envoy-headers",
    {},
    { "x-envoy-upstream-rq-timeout-ms": "7", "x-envoy-retry-on": "5xx" },
    { "x-envoy-expected-rq-timeout-ms": "15000", "x-envoy-retry-on": null },
  ),
  sends(
    "internal-asks-timeout",
    INTERNAL,
    { "x-forwarded-for": "10.1.1.1", "x-envoy-upstream-rq-timeout-ms": "7000" },
    { "x-envoy-expected-rq-timeout-ms": "7000" },
  ),
  sends("xfp-kept", {}, { "x-forwarded-proto": "https" }, { "x-forwarded-proto": "https" }),
  sends("xfp-edge", EDGE, { "x-forwarded-proto": "https" }, { "x-forwarded-proto": "http" }),
  sends(
    "xfp-edge-hops",
    { ...EDGE, xffNumTrustedHops: 1 },
    { "x-forwarded-proto": "https", "x-forwarded-for": "1.2.3.4" },
    { "x-forwarded-proto": "https" },
  ),
  sends("xfp-nonsense", {}, { "x-forwarded-proto": "gopher" }, { "x-forwarded-proto": "gopher" }),
  sends(
    "scheme-overwrite",
    { schemeHeaderTransformation: { schemeToOverwrite: "https" } },
    {},
    { "x-forwarded-proto": "https" },
  ),
  sends("xf-port", { appendXForwardedPort: true }, {}, { "x-forwarded-port": /^\d+$/ }),
  sends("xf-port-kept", { appendXForwardedPort: true }, { "x-forwarded-port": "1" }, { "x-forwarded-port": "1" }),
  sends("id-made", {}, {}, { "x-request-id": ID }),
  sends("id-kept", {}, { "x-request-id": "mine" }, { "x-request-id": "mine" }),
  sends("id-edge-replaced", EDGE, { "x-request-id": "mine" }, { "x-request-id": ID }),
  sends(
    "id-edge-preserved",
    { ...EDGE, preserveExternalRequestId: true },
    { "x-request-id": "mine" },
    { "x-request-id": "mine" },
  ),
  sends("id-not-made", { generateRequestId: false }, {}, { "x-request-id": null }),
  sends(
    "id-uuid-extension",
    {
      requestIdExtension: {
        typedConfig: { "@type": `${TYPE}.request_id.uuid.v3.UuidRequestIdConfig`, packTraceReason: false },
      },
    },
    { "x-request-id": "mine" },
    { "x-request-id": "mine" },
  ),
  sends("via", { via: "weft" }, { via: "1.0 before" }, { via: "1.0 before, weft" }),
  sends(
    "strip-any-port",
    { stripAnyHostPort: true },
    { host: "strip-any-port.test:1234" },
    { host: "strip-any-port.test" },
  ),
  sends(
    "strip-trailing-dot",
    { stripTrailingHostDot: true },
    { host: "strip-trailing-dot.test." },
    { host: "strip-trailing-dot.test" },
  ),
  sends(
    "strip-trailing-dot-port",
    { stripTrailingHostDot: true, stripAnyHostPort: true },
    { host: "strip-trailing-dot-port.test.:80" },
    { host: "strip-trailing-dot-port.test" },
  ),
  sends("te-trailers-kept", {}, { te: "trailers" }, { te: "trailers" }),
  sends("te-others-dropped", {}, { te: "gzip" }, { te: null }),
  sends(
    "hop-by-hop",
    {},
    { connection: "close, x-hop", "x-hop": "1", "keep-alive": "timeout=5", "proxy-connection": "x" },
    { "x-hop": null, "keep-alive": null, "proxy-connection": null },
  ),
  sends("envoy-prefixed-unknown", {}, { "x-envoy-something": "1" }, { "x-envoy-something": "1" }),
  sends("xfcc-sanitized", {}, { "x-forwarded-client-cert": "By=x" }, { "x-forwarded-client-cert": null }),
  sends(
    "xfcc-always-forward",
    { forwardClientCertDetails: "ALWAYS_FORWARD_ONLY" },
    { "x-forwarded-client-cert": "By=x" },
    { "x-forwarded-client-cert": "By=x" },
  ),
  sends(
    "xfcc-forward-only-without-tls",
    { forwardClientCertDetails: "FORWARD_ONLY" },
    { "x-forwarded-client-cert": "By=x" },
    { "x-forwarded-client-cert": null },
  ),
  sends(
    "ip-detection-header",
    {
      originalIpDetectionExtensions: [
        {
          name: "envoy.http.original_ip_detection.custom_header",
          typedConfig: {
            "@type": `${TYPE}.http.original_ip_detection.custom_header.v3.CustomHeaderConfig`,
            headerName: "x-real",
            allowExtensionToSetAddressAsTrusted: true,
          },
        },
      ],
    },
    { "x-real": "10.9.8.7" },
    { "x-forwarded-for": null, "x-envoy-internal": null },
  ),
  sends(
    "ip-detection-xff",
    {
      originalIpDetectionExtensions: [
        {
          name: "envoy.http.original_ip_detection.xff",
          typedConfig: { "@type": `${TYPE}.http.original_ip_detection.xff.v3.XffConfig`, xffNumTrustedHops: 1 },
        },
      ],
    },
    { "x-forwarded-for": "1.1.1.1,2.2.2.2" },
    { "x-forwarded-for": "1.1.1.1,2.2.2.2" },
  ),
  sends(
    "early-mutation",
    {
      earlyHeaderMutationExtensions: [
        {
          name: "envoy.http.early_header_mutation.header_mutation",
          typedConfig: {
            "@type": `${TYPE}.http.early_header_mutation.header_mutation.v3.HeaderMutation`,
            mutations: [
              { remove: "x-gone" },
              { append: { header: { key: "x-early", value: "%REQ(X-A)%" }, appendAction: "APPEND_IF_EXISTS_OR_ADD" } },
            ],
          },
        },
      ],
    },
    { "x-gone": "1", "x-a": "hello" },
    { "x-gone": null, "x-early": "hello" },
  ),
  sends(
    "proper-case-lower-for-node",
    { httpProtocolOptions: { headerKeyFormat: { properCaseWords: {} } } },
    { "x-a": "1" },
    { "x-a": "1" },
  ),
];

/** The response that the client gets, through a connection manager with these fields. */
function gives(name: string, manager: Json, path: string, wanted: Wanted): WalkCase {
  return { name, routes: [toOrigin(ANY)], manager, call: { path }, expect: { status: 200, headers: wanted } };
}

const answers: readonly WalkCase[] = [
  gives("server-overwritten", {}, "/with?server=origin", { server: "envoy" }),
  gives("server-named", { serverName: "mine" }, "/with?server=origin", { server: "mine" }),
  gives("server-append-if-absent", { serverHeaderTransformation: "APPEND_IF_ABSENT" }, "/with?server=origin", {
    server: "origin",
  }),
  gives("server-append-absent", { serverHeaderTransformation: "APPEND_IF_ABSENT" }, "/with", { server: "envoy" }),
  gives("server-pass-through", { serverHeaderTransformation: "PASS_THROUGH" }, "/with?server=origin", {
    server: "origin",
  }),
  gives("server-pass-through-absent", { serverHeaderTransformation: "PASS_THROUGH" }, "/with", { server: null }),
  gives("response-via", { via: "weft" }, "/with?via=before", { via: "before, weft" }),
  gives("id-in-response", { alwaysSetRequestIdInResponse: true }, "/with", { "x-request-id": ID }),
  gives("id-not-in-response", {}, "/with", { "x-request-id": null }),
  gives("service-time", {}, "/with", { "x-envoy-upstream-service-time": /^\d+$/ }),
  gives("origin-x-envoy-kept", {}, "/with?x-envoy-upstream-service-time=77", {
    "x-envoy-upstream-service-time": /^\d$/,
  }),
  gives("response-date-kept", {}, "/with?date=Thu%2C%2001%20Jan%201970%2000%3A00%3A00%20GMT", {
    date: "Thu, 01 Jan 1970 00:00:00 GMT",
  }),
  gives("response-keep-alive-dropped", {}, "/with?keep-alive=timeout%3D5", { "keep-alive": null }),
];

/** A locally generated answer, rewritten. */
function replies(name: string, localReplyConfig: Json, wanted: Partial<WalkCase["expect"]>): WalkCase {
  return {
    name,
    routes: [
      { match: { path: "/none" }, route: { cluster: "nowhere" } },
      { match: { path: "/origin" }, route: { cluster: "origin" } },
    ],
    manager: { localReplyConfig },
    call: { path: "/none" },
    expect: { status: 503, ...wanted },
  };
}

const UH = { filter: { responseFlagFilter: { flags: ["UH"] } } };
const text = (inlineString: string) => ({ textFormatSource: { inlineString } });

const localReplies: readonly WalkCase[] = [
  replies(
    "reply-format",
    { bodyFormat: text("%LOCAL_REPLY_BODY%:%RESPONSE_CODE%:%REQ(:PATH)%:%RESPONSE_FLAGS%") },
    { body: "no healthy upstream:503:/none:UH", headers: { "content-type": "text/plain", "content-length": "32" } },
  ),
  replies(
    "reply-json",
    { bodyFormat: { jsonFormat: { code: "%RESPONSE_CODE%", text: "%LOCAL_REPLY_BODY%" } } },
    { body: '{"code":503,"text":"no healthy upstream"}\n', headers: { "content-type": "application/json" } },
  ),
  replies(
    "reply-content-type",
    { bodyFormat: { ...text("<b>%LOCAL_REPLY_BODY%</b>"), contentType: "text/html" } },
    { body: "<b>no healthy upstream</b>", headers: { "content-type": "text/html" } },
  ),
  replies(
    "reply-mapper-status",
    { mappers: [{ ...UH, statusCode: 418 }] },
    { status: 418, body: "no healthy upstream", log: /^UH no_healthy_upstream/ },
  ),
  replies("reply-mapper-body", { mappers: [{ ...UH, body: { inlineString: "sorry" } }] }, { body: "sorry" }),
  replies(
    "reply-mapper-format",
    { mappers: [{ ...UH, bodyFormatOverride: text("own %LOCAL_REPLY_BODY%") }], bodyFormat: text("general") },
    { body: "own no healthy upstream" },
  ),
  replies(
    "reply-mapper-body-and-format",
    { mappers: [{ ...UH, body: { inlineString: "sorry" } }], bodyFormat: text("[%LOCAL_REPLY_BODY%]") },
    { body: "[sorry]" },
  ),
  replies(
    "reply-mapper-headers",
    { mappers: [{ ...UH, headersToAdd: [{ header: { key: "x-own", value: "%RESPONSE_CODE_DETAILS%" } }] }] },
    { headers: { "x-own": "no_healthy_upstream" } },
  ),
  replies(
    "reply-mapper-first",
    {
      mappers: [
        { ...UH, statusCode: 500 },
        { ...UH, statusCode: 501 },
      ],
    },
    { status: 500 },
  ),
  replies(
    "reply-mapper-other",
    { mappers: [{ filter: { responseFlagFilter: { flags: ["UF"] } }, statusCode: 500 }] },
    { status: 503 },
  ),
  replies(
    "reply-mapper-code",
    {
      mappers: [
        {
          filter: { statusCodeFilter: { comparison: { op: "EQ", value: { defaultValue: 503, runtimeKey: "none" } } } },
          statusCode: 500,
        },
      ],
    },
    { status: 500 },
  ),
  {
    ...replies("reply-not-for-origin", { bodyFormat: text("general") }, { status: 200, body: "origin" }),
    call: { path: "/origin" },
  },
  {
    ...replies("reply-for-no-route", { bodyFormat: text("[%RESPONSE_FLAGS%]") }, { status: 404, body: "[NR]" }),
    call: { path: "/else" },
  },
];

/** Bytes of a request, and what comes over the wire. */
function wire(name: string, manager: Json, raw: string, wanted: Partial<WalkCase["expect"]>): WalkCase {
  return {
    name,
    routes: [toOrigin(ANY)],
    manager,
    call: { raw: raw.replaceAll("HOST", `${name}.test`), authority: `${name}.test` },
    expect: { status: 200, ...wanted },
  };
}

/** CONNECT, and what the client sends behind it without waiting. */
function connect(name: string, upgrade: Json, behind: string, expect: Partial<WalkCase["expect"]>): WalkCase {
  const raw = `CONNECT HOST:80 HTTP/1.1\r\nhost: HOST:80\r\n\r\n${behind}`;
  const one = wire(name, { upgradeConfigs: [{ upgradeType: "CONNECT" }] }, raw, expect);
  const route = { cluster: "origin", upgradeConfigs: [{ upgradeType: "CONNECT", ...upgrade }] };
  return {
    ...one,
    domains: [`${name}.test`, `${name}.test:80`],
    routes: [{ match: { connectMatcher: {} }, route }],
    call: { ...one.call, authority: `${name}.test:80` },
  };
}

const HTTP10 = { httpProtocolOptions: { acceptHttp10: true } };
const forms: readonly WalkCase[] = [
  wire("http10-refused", {}, "GET / HTTP/1.0\r\nhost: HOST\r\n\r\n", { status: 426, origin: null }),
  wire("http10-accepted", HTTP10, "GET / HTTP/1.0\r\nhost: HOST\r\n\r\n", {
    wire: /^HTTP\/1\.[01] 200 OK/,
    headers: { connection: "close" },
  }),
  wire("http10-keep-alive", HTTP10, "GET / HTTP/1.0\r\nhost: HOST\r\nconnection: keep-alive\r\n\r\n", {
    headers: { connection: "keep-alive" },
  }),
  wire(
    "http10-default-host",
    { httpProtocolOptions: { acceptHttp10: true, defaultHostForHttp10: "http10-default-host.test" } },
    "GET / HTTP/1.0\r\n\r\n",
    { origin: { headers: { host: "http10-default-host.test" } } },
  ),
  wire(
    "absolute-form-refused",
    { httpProtocolOptions: { allowAbsoluteUrl: false } },
    "GET http://HOST/x HTTP/1.1\r\nhost: HOST\r\n\r\n",
    { status: 404 },
  ),
  wire(
    "proper-case",
    { httpProtocolOptions: { headerKeyFormat: { properCaseWords: {} } } },
    "GET /with?x-own=1 HTTP/1.1\r\nhost: HOST\r\n\r\n",
    { wire: /\r\nX-Own: 1\r\n/ },
  ),
  wire(
    "expect-continue",
    {},
    "POST / HTTP/1.1\r\nhost: HOST\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\nbody",
    {
      wire: /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/,
      status: 100,
      origin: { headers: { expect: null }, body: "body" },
    },
  ),
  wire(
    "expect-continue-proxied",
    { proxy100Continue: true },
    "POST / HTTP/1.1\r\nhost: HOST\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\nbody",
    {
      wire: /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/,
      status: 100,
      origin: { headers: { expect: "100-continue" }, body: "body" },
    },
  ),
  wire("upgrade-refused", {}, "GET / HTTP/1.1\r\nhost: HOST\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", {
    status: 403,
    origin: null,
  }),
  wire(
    "upgrade",
    { upgradeConfigs: [{ upgradeType: "websocket" }] },
    "GET / HTTP/1.1\r\nhost: HOST\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    {
      status: 101,
      wire: /^HTTP\/1\.1 101 Switching Protocols[\s\S]*\r\n\r\ntunnel$/,
      origin: { headers: { upgrade: "websocket", connection: /upgrade/i } },
    },
  ),
  wire(
    "upgrade-disabled",
    { upgradeConfigs: [{ upgradeType: "websocket", enabled: false }] },
    "GET / HTTP/1.1\r\nhost: HOST\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    { status: 403, origin: null },
  ),
  connect("connect-ended", { connectConfig: {} }, "GET /in HTTP/1.1\r\nhost: in.test\r\n\r\n", {
    wire: /^HTTP\/1\.1 200 OK\r\n(?!content-length|transfer-encoding)[\s\S]*?\r\n\r\nHTTP\/1\.1 200 OK/,
    origin: { method: "GET", path: "/in", headers: { host: "in.test" } },
  }),
  connect("connect-handed-on", {}, "ping", {
    wire: /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\ntunnel of connect-handed-on\.test:80$/,
    origin: null,
  }),
  connect("connect-refused-by-the-host", {}, "", {
    status: 407,
    wire: /^HTTP\/1\.1 407 [\s\S]*\r\n\r\nno$/,
    origin: null,
  }),
  connect("connect-switched-off", { enabled: false }, "", { status: 403, origin: null }),
  wire("connect-without-route", {}, "CONNECT HOST:80 HTTP/1.1\r\nhost: HOST:80\r\n\r\n", { status: 404, origin: null }),
  wire("pipelined", {}, "GET /a HTTP/1.1\r\nhost: HOST\r\n\r\nGET /b HTTP/1.1\r\nhost: HOST\r\n\r\n", {
    wire: /200 OK[\s\S]*200 OK/,
    origin: { path: "/b", times: 2 },
  }),
  wire(
    "chunked-request",
    {},
    "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    { origin: { body: "abc", headers: { "transfer-encoding": "chunked" } } },
  ),
  wire("early-answer", {}, "POST /early HTTP/1.1\r\nhost: HOST\r\ncontent-length: 100\r\n\r\nsome", {
    status: 200,
    headers: { "content-length": "6" },
  }),
  wire("idle-stream", { streamIdleTimeout: "0.1s" }, "GET /slow HTTP/1.1\r\nhost: HOST\r\n\r\n", {
    status: 504,
    body: "stream timeout",
    log: "SI stream_idle_timeout -",
  }),
  wire("idle-request", { streamIdleTimeout: "0.1s" }, "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 4\r\n\r\nab", {
    status: 408,
    body: "stream timeout",
    log: "SI stream_idle_timeout -",
  }),
  wire("request-timeout", { requestTimeout: "0.1s" }, "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 4\r\n\r\nab", {
    status: 408,
    body: "request timeout",
    log: "- request_overall_timeout -",
  }),
  wire("headers-timeout", { requestHeadersTimeout: "0.1s" }, "GET / HTTP/1.1\r\nhost: HOST\r\n", {
    status: 408,
    body: "request header timeout",
  }),
  wire(
    "max-duration",
    { commonHttpProtocolOptions: { maxStreamDuration: "0.1s" } },
    "GET /slow HTTP/1.1\r\nhost: HOST\r\n\r\n",
    { status: 504, body: "downstream duration timeout", log: "- max_duration_timeout -" },
  ),
  wire(
    "max-requests",
    { commonHttpProtocolOptions: { maxRequestsPerConnection: 1 } },
    "GET / HTTP/1.1\r\nhost: HOST\r\n\r\n",
    { headers: { connection: "close" } },
  ),
  wire(
    "too-many-headers",
    { commonHttpProtocolOptions: { maxHeadersCount: 3 } },
    "GET / HTTP/1.1\r\nhost: HOST\r\na: 1\r\nb: 1\r\nc: 1\r\n\r\n",
    { status: 431 },
  ),
  wire(
    "underscores-dropped",
    { commonHttpProtocolOptions: { headersWithUnderscoresAction: "DROP_HEADER" } },
    "GET / HTTP/1.1\r\nhost: HOST\r\na_b: 1\r\n\r\n",
    { origin: { headers: { a_b: null } } },
  ),
  wire(
    "escaped-slashes-rejected",
    { pathWithEscapedSlashesAction: "REJECT_REQUEST" },
    "GET /a%2Fb HTTP/1.1\r\nhost: HOST\r\n\r\n",
    { status: 400 },
  ),
  wire(
    "escaped-slashes-redirect",
    { pathWithEscapedSlashesAction: "UNESCAPE_AND_REDIRECT" },
    "GET /a%2Fb HTTP/1.1\r\nhost: HOST\r\n\r\n",
    { status: 307, headers: { location: "/a/b" } },
  ),
  wire(
    "escaped-slashes-forward",
    { pathWithEscapedSlashesAction: "UNESCAPE_AND_FORWARD" },
    "GET /a%2Fb%5Cc HTTP/1.1\r\nhost: HOST\r\n\r\n",
    { origin: { path: "/a/b\\c" } },
  ),
  { ...wire("head", {}, "HEAD / HTTP/1.1\r\nhost: HOST\r\n\r\n", { body: "", headers: { "content-length": "6" } }) },
  wire("no-content", {}, "GET /status/204 HTTP/1.1\r\nhost: HOST\r\n\r\n", {
    status: 204,
    body: "",
    headers: { "content-length": null },
  }),
  wire("not-modified", {}, "GET /status/304 HTTP/1.1\r\nhost: HOST\r\n\r\n", { status: 304, body: "" }),
  wire("close-asked", {}, "GET / HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n", {
    headers: { connection: "close" },
  }),
];

export const connectionCases: readonly WalkCase[] = [...addresses, ...answers, ...localReplies, ...forms];
