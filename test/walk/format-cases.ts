// Envoy's format strings in headers and in the access log, and which requests are logged.

import type { Call, Json, WalkCase } from "./case.ts";
import { says, toOrigin } from "./route.ts";

const ANY = { prefix: "/" };

/** What a format makes of `/p/a?q=1&b=2`, as a request header that the origin sees; null: no header. */
function writes(name: string, value: string, wanted: string | RegExp | null, more: Partial<WalkCase> = {}): WalkCase {
  return {
    name: `format-${name}`,
    routes: [
      toOrigin(
        ANY,
        {},
        {
          name: "my-route",
          metadata: { filterMetadata: { ns: { k: "v", n: 1, o: { a: [1] } } } },
          requestHeadersToAdd: [{ header: { key: "x-out", value } }],
        },
      ),
    ],
    call: { path: "/p/a?q=1&b=2", headers: { "x-a": "hello", "x-empty": "" } },
    expect: { status: 200, origin: { headers: { "x-out": wanted } } },
    ...more,
  };
}

const inHeaders: readonly WalkCase[] = [
  writes("text", "plain", "plain"),
  writes("percent", "100%%", "100%"),
  writes("req", "%REQ(X-A)%", "hello"),
  writes("req-absent", "%REQ(X-NONE)%", null),
  writes("req-absent-in-text", "a-%REQ(X-NONE)%-b", "a--b"),
  writes("req-alternative", "%REQ(X-NONE?X-A)%", "hello"),
  writes("req-length", "%REQ(X-A):3%", "hel"),
  writes("req-method", "%REQ(:METHOD)%", "GET"),
  writes("req-path", "%REQ(:PATH)%", "/p/a?q=1&b=2"),
  writes("req-authority", "%REQ(:AUTHORITY)%", "format-req-authority.test"),
  writes("protocol", "%PROTOCOL%", "HTTP/1.1"),
  writes("route-name", "%ROUTE_NAME%", "my-route"),
  writes("response-code", "%RESPONSE_CODE%", "0"),
  writes("flags", "%RESPONSE_FLAGS%", "-"),
  writes("flags-long", "%RESPONSE_FLAGS_LONG%", "-"),
  writes("details", "%RESPONSE_CODE_DETAILS%", null),
  writes("bytes", "%BYTES_RECEIVED% %BYTES_SENT%", "0 0"),
  writes("metadata-text", "%METADATA(ROUTE:ns:k)%", "v"),
  writes("metadata-number", "%METADATA(ROUTE:ns:n)%", "1"),
  writes("metadata-object", "%METADATA(ROUTE:ns:o)%", '{"a":[1]}'),
  writes("metadata-all", "%METADATA(ROUTE:ns)%", '{"k":"v","n":1,"o":{"a":[1]}}'),
  writes("metadata-deep", "%METADATA(ROUTE:ns:o:a)%", "[1]"),
  writes("metadata-absent", "%METADATA(ROUTE:none:k)%", null),
  writes("dynamic-metadata-absent", "%DYNAMIC_METADATA(ns:k)%", null),
  writes("filter-state-absent", "%FILTER_STATE(some.key:PLAIN)%", null),
  writes("path", "%PATH%", "/p/a?q=1&b=2"),
  writes("path-no-query", "%PATH(NQ)%", "/p/a"),
  writes("path-original-absent", "%PATH(WQ:ORIG)%", null),
  writes("path-length", "%PATH(NQ:PATH):3%", "/p/"),
  writes("query-param", "%QUERY_PARAM(q)%", "1"),
  writes("query-param-absent", "%QUERY_PARAM(z)%", null),
  writes("query-params", "%QUERY_PARAMS(ORIG)%", "q=1&b=2"),
  writes("server-name-absent", "%REQUESTED_SERVER_NAME%", null),
  writes("server-name-or-host", "%REQUESTED_SERVER_NAME(SNI_FIRST)%", "format-server-name-or-host.test"),
  writes("local-address", "%DOWNSTREAM_LOCAL_ADDRESS%", /^127\.0\.0\.1:\d+$/),
  writes("local-port", "%DOWNSTREAM_LOCAL_PORT%", /^\d+$/),
  writes("remote-address", "%DOWNSTREAM_REMOTE_ADDRESS%", /^127\.0\.0\.1:\d+$/),
  writes("remote-address-without-port", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "127.0.0.1"),
  writes("remote-network", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)%", "127.0.0.0/16"),
  writes("direct-remote-address", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", /^127\.0\.0\.1:\d+$/),
  writes("remote-address-of-xff", "%DOWNSTREAM_REMOTE_ADDRESS%", "10.1.2.3:0", {
    call: { headers: { "x-forwarded-for": "10.1.2.3" } },
  }),
  writes("direct-remote-address-beside-xff", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", "127.0.0.1", {
    call: { headers: { "x-forwarded-for": "10.1.2.3" } },
  }),
  writes("tls-absent", "%DOWNSTREAM_TLS_VERSION%", null),
  writes("tls-cipher-absent", "%DOWNSTREAM_TLS_CIPHER%", null),
  writes("peer-absent", "%DOWNSTREAM_PEER_SUBJECT%", null),
  writes("peer-fingerprint-absent", "%DOWNSTREAM_PEER_FINGERPRINT_256%", null),
  writes("peer-validity-absent", "%DOWNSTREAM_PEER_CERT_V_START%", null),
  writes("start-time", "%START_TIME%", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  writes("start-time-format", "%START_TIME(%Y/%m/%dT%H:%M:%S%z)%", /^\d{4}\/\d\d\/\d\dT\d\d:\d\d:\d\d\+0000$/),
  writes("start-time-fraction", "%START_TIME(%s.%3f)%", /^\d{10}\.\d{3}$/),
  writes("start-time-names", "%START_TIME(%a %d %b %Y)%", /^[A-Z][a-z]{2} \d\d [A-Z][a-z]{2} \d{4}$/),
  writes("emit-time", "%EMIT_TIME(%s)%", /^\d{10}$/),
  writes("hostname", "%HOSTNAME%", /^[\w.-]+$/),
  writes("environment", "%ENVIRONMENT(HOME)%", /^\/[\w/.-]+$/),
  writes("environment-absent", "%ENVIRONMENT(NO_SUCH_VARIABLE)%", "-"),
  writes("unique-id", "%UNIQUE_ID%", /^[0-9a-f-]{36}$/),
  writes("stream-id", "%STREAM_ID%", /^[0-9a-f-]{36}$/),
  writes("connection-id", "%CONNECTION_ID%", /^\d+$/),
  writes("attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%", /^[01]$/),
  writes("log-type", "%ACCESS_LOG_TYPE%", "NotSet"),
  writes(
    "coalesce",
    '%COALESCE({"operators":[{"command":"REQ","param":"x-none"},{"command":"REQ","param":"x-a"}]})%',
    "hello",
  ),
  writes("coalesce-plain", '%COALESCE({"operators":[{"command":"REQ","param":"x-none"},"ROUTE_NAME"]})%', "my-route"),
  writes("cluster", "%UPSTREAM_CLUSTER%", "origin"),
  writes("several", "%REQ(X-A)%/%ROUTE_NAME%", "hello/my-route"),
  writes("keep-empty", "", "", {
    routes: [
      toOrigin(
        ANY,
        {},
        {
          requestHeadersToAdd: [{ header: { key: "x-out", value: "%REQ(X-NONE)%" }, keepEmptyValue: true }],
        },
      ),
    ],
  }),
  {
    name: "format-in-response",
    routes: [
      toOrigin(
        ANY,
        {},
        {
          responseHeadersToAdd: [
            { header: { key: "x-code", value: "%RESPONSE_CODE%" } },
            { header: { key: "x-host", value: "%UPSTREAM_HOST%" } },
            { header: { key: "x-port", value: "%UPSTREAM_REMOTE_PORT%" } },
            { header: { key: "x-ip", value: "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" } },
            { header: { key: "x-resp", value: "%RESP(X-FROM-ORIGIN)%" } },
            { header: { key: "x-details", value: "%RESPONSE_CODE_DETAILS%" } },
            { header: { key: "x-upstream-protocol", value: "%UPSTREAM_PROTOCOL%" } },
          ],
        },
      ),
    ],
    call: {},
    expect: {
      status: 200,
      headers: {
        "x-code": "200",
        "x-host": /^127\.0\.0\.1:\d+$/,
        "x-port": /^\d+$/,
        "x-ip": "127.0.0.1",
        "x-resp": "1",
        "x-details": "via_upstream",
        "x-upstream-protocol": "HTTP/1.1",
      },
    },
  },
];

/** What an access log's format makes of a call. */
function logs(name: string, format: string, wanted: string | RegExp, more: Partial<WalkCase> = {}): WalkCase {
  return {
    name: `log-${name}`,
    routes: [toOrigin(ANY, {}, { name: "my-route" })],
    logFormat: { textFormatSource: { inlineString: `%REQ(:AUTHORITY)% ${format}\n` } },
    call: { path: "/with?x-own=1" },
    expect: { status: 200, log: wanted },
    ...more,
  };
}

const LATE = { path: "/slow" };

const inLogs: readonly WalkCase[] = [
  logs("code", "%RESPONSE_CODE% %RESPONSE_FLAGS%", "200 -"),
  logs("absent-is-a-dash", "%REQ(X-NONE)% %RESP(X-OWN)% %TRAILER(X)%", "- 1 -"),
  logs("bytes", "%BYTES_RECEIVED% %BYTES_SENT%", "4 6", { call: { method: "POST", body: "body" } }),
  logs("header-bytes", "%RESPONSE_TRAILERS_BYTES%", "0"),
  logs("durations", "%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", /^\d+ \d+ \d+ \d+$/),
  logs(
    "common-duration",
    "%COMMON_DURATION(DS_RX_BEG:DS_RX_END:us)% %COMMON_DURATION(US_TX_BEG:DS_TX_END)%",
    /^\d+ \d+$/,
  ),
  logs(
    "upstream",
    "%UPSTREAM_HOST% %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS%",
    /^127\.0\.0\.1:\d+ origin 127\.0\.0\.1:\d+$/,
  ),
  logs("upstream-host-name", "%UPSTREAM_HOST_NAME%", "one.host"),
  logs("upstream-tls-absent", "%UPSTREAM_TLS_VERSION% %UPSTREAM_PEER_SUBJECT%", "- -"),
  logs("type", "%ACCESS_LOG_TYPE%", "DownstreamEnd"),
  logs("rewritten-path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(:PATH)%", "/with/x /with/y", {
    routes: [toOrigin(ANY, { regexRewrite: { pattern: { regex: "x$" }, substitution: "y" } })],
    call: { path: "/with/x" },
  }),
  logs("local-reply-body", "[%LOCAL_REPLY_BODY%]", "[]", { routes: [says(ANY, "hi there")] }),
  logs("empty-is-not-absent", "[%REQ(X-EMPTY)%]", "[]", { call: { headers: { "x-empty": "" } } }),
  logs(
    "no-route",
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG% %RESPONSE_CODE_DETAILS%",
    "404 NR NoRouteFound route_not_found",
    {
      routes: [],
      expect: { status: 404, log: "404 NR NoRouteFound route_not_found" },
    },
  ),
  logs("timeout", "", "", {
    logFormat: { textFormatSource: { inlineString: "%REQ(:AUTHORITY)% %RESPONSE_FLAGS_LONG% %UPSTREAM_HOST%\n" } },
    routes: [toOrigin(ANY, { timeout: "0.05s" })],
    call: LATE,
    expect: { status: 504, log: /^UpstreamRequestTimeout 127\.0\.0\.1:\d+$/ },
  }),
  logs("failure-details", "%RESPONSE_CODE_DETAILS%", "", {
    routes: [{ match: ANY, route: { cluster: "refusing" } }],
    expect: {
      status: 503,
      log: "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
    },
  }),
  logs("failure-reason", "%UPSTREAM_TRANSPORT_FAILURE_REASON%", "", {
    routes: [{ match: ANY, route: { cluster: "refusing" } }],
    expect: {
      status: 503,
      body: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
      log: "delayed_connect_error:_Connection_refused",
    },
  }),
  logs("json", "", "", {
    logFormat: {
      jsonFormat: {
        a: "%REQ(:AUTHORITY)% x",
        code: "%RESPONSE_CODE%",
        none: "%REQ(X-NONE)%",
        text: "a %PROTOCOL%",
        list: ["%BYTES_SENT%", { deep: "%ROUTE_NAME%" }],
        number: 1,
        flag: true,
      },
    },
    expect: { status: 200 },
  }),
  logs("omit-empty", "%REQ(X-NONE)%|%PROTOCOL%", "|HTTP/1.1", {
    logFormat: {
      omitEmptyValues: true,
      textFormatSource: { inlineString: "%REQ(:AUTHORITY)% %REQ(X-NONE)%|%PROTOCOL%\n" },
    },
  }),
  logs("req-without-query", "", "", {
    logFormat: {
      textFormatSource: { inlineString: "%REQ(:AUTHORITY)% %REQ_WITHOUT_QUERY(X-NONE?:PATH)%\n" },
      formatters: [
        {
          name: "envoy.formatter.req_without_query",
          typedConfig: {
            "@type": "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery",
          },
        },
      ],
    },
    expect: { status: 200, log: "/with" },
  }),
];

/** Whether a filter lets a call into the log. */
function filters(name: string, logFilter: Json, call: Call, wanted: "logged" | "left out"): WalkCase {
  const status = Number(/\d+$/.exec(call.path ?? "")?.[0] ?? 200);
  return {
    name: `log-filter-${name}`,
    routes: [toOrigin(ANY)],
    logFilter,
    call,
    expect: { status, log: wanted === "logged" ? /./ : null },
  };
}

function compare(op: string, value: number): Json {
  return { comparison: { op, value: { defaultValue: value, runtimeKey: "no.such.key" } } };
}

const FLAGGED = { responseFlagFilter: {} };
const BY_HEADER = { headerFilter: { header: { name: "x-log", stringMatch: { exact: "1" } } } };
const wanted = { headers: { "x-log": "1" } };

const logFilters: readonly WalkCase[] = [
  filters("code-ge", { statusCodeFilter: compare("GE", 400) }, { path: "/status/404" }, "logged"),
  filters("code-ge-not", { statusCodeFilter: compare("GE", 400) }, {}, "left out"),
  filters("code-eq", { statusCodeFilter: compare("EQ", 200) }, {}, "logged"),
  filters("code-le", { statusCodeFilter: compare("LE", 199) }, {}, "left out"),
  filters("code-ne", { statusCodeFilter: compare("NE", 200) }, {}, "left out"),
  filters("duration", { durationFilter: compare("GE", 60_000) }, {}, "left out"),
  filters("flags-none", FLAGGED, {}, "left out"),
  { ...filters("flags-any", FLAGGED, { path: "/status/404" }, "logged"), routes: [] },
  {
    ...filters("flags-named", { responseFlagFilter: { flags: ["NR"] } }, { path: "/status/404" }, "logged"),
    routes: [],
  },
  {
    ...filters("flags-others", { responseFlagFilter: { flags: ["UF"] } }, { path: "/status/404" }, "left out"),
    routes: [],
  },
  filters("header", BY_HEADER, wanted, "logged"),
  filters("header-not", BY_HEADER, {}, "left out"),
  filters("and", { andFilter: { filters: [BY_HEADER, FLAGGED] } }, wanted, "left out"),
  filters("or", { orFilter: { filters: [BY_HEADER, FLAGGED] } }, wanted, "logged"),
  filters(
    "runtime-all",
    { runtimeFilter: { runtimeKey: "no.such.key", percentSampled: { numerator: 100 } } },
    {},
    "logged",
  ),
  filters(
    "runtime-none",
    { runtimeFilter: { runtimeKey: "no.such.key", percentSampled: { numerator: 0 } } },
    {},
    "left out",
  ),
  filters("not-health-check", { notHealthCheckFilter: {} }, {}, "logged"),
  filters("traceable", { traceableFilter: {} }, {}, "left out"),
  filters("log-type", { logTypeFilter: { types: ["DownstreamEnd"] } }, {}, "logged"),
  filters("log-type-excluded", { logTypeFilter: { types: ["DownstreamEnd"], exclude: true } }, {}, "left out"),
  filters("grpc-status", { grpcStatusFilter: { statuses: ["UNKNOWN"] } }, {}, "logged"),
  filters("grpc-status-not", { grpcStatusFilter: { statuses: ["UNAVAILABLE"] } }, {}, "left out"),
  filters("grpc-status-excluded", { grpcStatusFilter: { statuses: ["UNKNOWN"], exclude: true } }, {}, "left out"),
  filters(
    "metadata-absent",
    { metadataFilter: { matcher: { filter: "ns", path: [{ key: "k" }], value: { stringMatch: { exact: "v" } } } } },
    {},
    "logged",
  ),
  filters(
    "metadata-absent-not",
    {
      metadataFilter: {
        matcher: { filter: "ns", path: [{ key: "k" }], value: { stringMatch: { exact: "v" } } },
        matchIfKeyNotFound: false,
      },
    },
    {},
    "left out",
  ),
];

export const formatCases: readonly WalkCase[] = [...inHeaders, ...inLogs, ...logFilters];
