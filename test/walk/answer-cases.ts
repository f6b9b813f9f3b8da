// Routes that answer by themselves: redirects and direct responses.

import type { Json, WalkCase } from "./case.ts";
import { says } from "./route.ts";

const ANY = { prefix: "/" };

/** A redirect, the path that is asked for, and where it leads. */
function redirects(
  name: string,
  redirect: Json,
  at: readonly [path: string, location: string],
  more: Partial<WalkCase> = {},
): WalkCase {
  return {
    name,
    routes: [{ match: ANY, redirect }],
    call: { path: at[0] },
    expect: { status: 301, body: "", headers: { location: at[1] }, origin: null },
    ...more,
  };
}

const host = (name: string) => ({ headers: { host: name } });

export const answerCases: readonly WalkCase[] = [
  redirects("redirect-nothing", {}, ["/a?b", "http://redirect-nothing.test/a?b"]),
  redirects("redirect-host", { hostRedirect: "new.test:81" }, ["/a", "http://new.test:81/a"]),
  redirects("redirect-host-drops-port", { hostRedirect: "new.test" }, ["/a", "http://new.test/a"], {
    domains: ["redirect-host-drops-port.test:81"],
    call: { path: "/a", ...host("redirect-host-drops-port.test:81") },
  }),
  redirects("redirect-keeps-port", { pathRedirect: "/x" }, ["/a", "http://redirect-keeps-port.test:81/x"], {
    domains: ["redirect-keeps-port.test:81"],
    call: { path: "/a", ...host("redirect-keeps-port.test:81") },
  }),
  redirects(
    "redirect-https-keeps-port",
    { httpsRedirect: true },
    ["/a", "https://redirect-https-keeps-port.test:81/a"],
    {
      domains: ["redirect-https-keeps-port.test:81"],
      call: { path: "/a", ...host("redirect-https-keeps-port.test:81") },
    },
  ),
  redirects("redirect-https-drops-80", { httpsRedirect: true }, ["/a", "https://redirect-https-drops-80.test/a"], {
    domains: ["redirect-https-drops-80.test:80"],
    call: { path: "/a", ...host("redirect-https-drops-80.test:80") },
  }),
  redirects("redirect-port-443", { portRedirect: 443, httpsRedirect: true }, [
    "/a",
    "https://redirect-port-443.test:443/a",
  ]),
  redirects("redirect-port-80", { portRedirect: 80 }, ["/a", "http://redirect-port-80.test:80/a"]),
  redirects("redirect-path-query-kept", { pathRedirect: "/x" }, [
    "/a?q=1",
    "http://redirect-path-query-kept.test/x?q=1",
  ]),
  redirects("redirect-path-own-query", { pathRedirect: "/x?own=1" }, [
    "/a?q=1",
    "http://redirect-path-own-query.test/x?own=1",
  ]),
  redirects("redirect-path-strip-query", { pathRedirect: "/x", stripQuery: true }, [
    "/a?q=1",
    "http://redirect-path-strip-query.test/x",
  ]),
  redirects("redirect-path-own-query-stripped", { pathRedirect: "/x?own=1", stripQuery: true }, [
    "/a?q=1",
    "http://redirect-path-own-query-stripped.test/x?own=1",
  ]),
  redirects("redirect-strip-query", { stripQuery: true }, ["/a?q=1", "http://redirect-strip-query.test/a"]),
  redirects("redirect-regex", { regexRewrite: { pattern: { regex: "^/a/([^/]+)" }, substitution: "/b/\\1" } }, [
    "/a/x/y?q",
    "http://redirect-regex.test/b/x/y?q",
  ]),
  redirects("redirect-prefix-query", { prefixRewrite: "/new/" }, [
    "/a?q=1",
    "http://redirect-prefix-query.test/new/a?q=1",
  ]),
  redirects("redirect-exact", { prefixRewrite: "/new" }, ["/old?q=1", "http://redirect-exact.test/new?q=1"], {
    routes: [{ match: { path: "/old" }, redirect: { prefixRewrite: "/new" } }],
  }),
  redirects("redirect-see-other", { responseCode: "SEE_OTHER" }, ["/", "http://redirect-see-other.test/"], {
    expect: { status: 303, headers: { location: "http://redirect-see-other.test/" } },
  }),
  redirects("redirect-temporary", { responseCode: "TEMPORARY_REDIRECT" }, ["/", ""], {
    expect: { status: 307, headers: { location: "http://redirect-temporary.test/" } },
  }),
  redirects("redirect-ipv6", { hostRedirect: "::1" }, ["/", "http://[::1]/"], {
    differs: "Envoy writes the address without brackets, which no client can read",
  }),
  redirects("redirect-response-headers", { pathRedirect: "/x" }, ["/", "http://redirect-response-headers.test/x"], {
    host: { responseHeadersToAdd: [{ header: { key: "x-own", value: "1" } }] },
    expect: { status: 301, headers: { "x-own": "1" } },
  }),
  redirects("redirect-log", { pathRedirect: "/x" }, ["/", ""], { expect: { status: 301, log: "- direct_response -" } }),
  {
    name: "direct-no-body",
    routes: [{ match: ANY, directResponse: { status: 204 } }],
    call: {},
    expect: { status: 204, body: "", headers: { "content-length": null, "content-type": null } },
  },
  {
    name: "direct-empty-200",
    routes: [{ match: ANY, directResponse: { status: 200 } }],
    call: {},
    expect: { status: 200, body: "", headers: { "content-length": "0", "content-type": null } },
  },
  {
    name: "direct-content-type",
    routes: [
      {
        match: ANY,
        directResponse: { status: 200, body: { inlineString: "{}" } },
        responseHeadersToAdd: [
          { header: { key: "content-type", value: "application/json" }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" },
        ],
      },
    ],
    call: {},
    expect: { status: 200, body: "{}", headers: { "content-type": "application/json" } },
  },
  {
    name: "direct-bytes",
    routes: [{ match: ANY, directResponse: { status: 200, body: { inlineBytes: "aGVsbG8=" } } }],
    call: {},
    expect: { status: 200, body: "hello" },
  },
  {
    name: "direct-to-a-post",
    routes: [says(ANY, "hi")],
    call: { method: "POST", body: "some body" },
    expect: { status: 200, body: "hi" },
  },
  {
    name: "direct-599",
    routes: [{ match: ANY, directResponse: { status: 599 } }],
    call: {},
    expect: { status: 599, reason: "Last Unassigned Server Error Code" },
  },
  {
    name: "direct-451",
    routes: [{ match: ANY, directResponse: { status: 451 } }],
    call: {},
    expect: { status: 451, reason: "Unknown" },
  },
  {
    name: "require-tls",
    routes: [says(ANY, "hi")],
    host: { requireTls: "ALL" },
    call: { path: "/a?b" },
    expect: { status: 301, headers: { location: "https://require-tls.test/a?b" } },
  },
  {
    name: "require-tls-forwarded",
    routes: [says(ANY, "hi")],
    host: { requireTls: "ALL" },
    call: { headers: { "x-forwarded-proto": "https" } },
    expect: { status: 200, body: "hi" },
  },
  {
    name: "require-tls-external",
    routes: [says(ANY, "hi")],
    host: { requireTls: "EXTERNAL_ONLY" },
    call: { path: "/a" },
    expect: { status: 301, headers: { location: "https://require-tls-external.test/a" } },
  },
];
