// Tokens that a request must bring, and what becomes of their claims.

import type { Json, WalkCase } from "./case.ts";
import { says, TYPE, toOrigin } from "./route.ts";
import {
  confusedToken,
  JWKS,
  nowS,
  payloadOf,
  RSA_JWKS,
  rsaToken,
  tamperedToken,
  token,
  tokenOfOtherKey,
  unsignedToken,
} from "./tokens.ts";

const ANY = { prefix: "/" };
const ONE = { providerName: "one" };
const GOOD = token();

const provider = (more: Json = {}): Json => ({
  issuer: "https://issuer.test",
  localJwks: { inlineString: JWKS },
  ...more,
});

function jwt(config: Json): Json {
  return {
    name: "envoy.filters.http.jwt_authn",
    typedConfig: { "@type": `${TYPE}.filters.http.jwt_authn.v3.JwtAuthentication`, ...config },
  };
}

const requires = (requirement: Json, more: Json = {}): Json =>
  jwt({ providers: { one: provider(more) }, rules: [{ match: ANY, requires: requirement }] });

const bearer = (text: string) => ({ headers: { authorization: `Bearer ${text}` } });

function mutate(mutations: Json): Json {
  return {
    name: "envoy.filters.http.header_mutation",
    typedConfig: { "@type": `${TYPE}.filters.http.header_mutation.v3.HeaderMutation`, mutations },
  };
}

const shows = (name: string, format: string): Json => ({ append: { header: { key: name, value: format } } });

/** A call that brings this token, and the words that it is refused with. */
function refused(name: string, text: string, expect: { body: string; status?: number }, more: Json = {}): WalkCase {
  const { body, status = 401 } = expect;
  return {
    name: `jwt-${name}`,
    filters: [requires(ONE, more)],
    routes: [toOrigin(ANY)],
    call: { path: "/a?b=c", ...bearer(text) },
    expect: {
      status,
      body,
      headers: {
        "www-authenticate": `Bearer realm="http://jwt-${name}.test/a?b=c", error="invalid_token"`,
      },
      origin: null,
      log: `- jwt_authn_access_denied{${body.replaceAll(" ", "_")}} -`,
      stats: { [`http.jwt-${name}.jwt_authn.denied`]: 1, [`http.jwt-${name}.jwt_authn.allowed`]: 0 },
    },
  };
}

const refusals: readonly WalkCase[] = [
  refused("unsigned", unsignedToken(), {
    body: "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
  }),
  refused("unsigned-with-signature", `${unsignedToken()}AAAA`, { body: "Jwt header [alg] is not supported" }),
  refused("tampered", tamperedToken(), { body: "Jwt verification fails" }),
  refused("other-key", tokenOfOtherKey(), { body: "Jwt verification fails" }),
  refused(
    "confused-key",
    confusedToken(),
    { body: "Jwt verification fails" },
    { localJwks: { inlineString: RSA_JWKS } },
  ),
  refused("unknown-kid", token({}, { kid: "nobody" }), {
    body: "Jwks doesn't have key to match kid or alg from Jwt",
  }),
  refused("expired", token({ exp: nowS - 100 }), { body: "Jwt is expired" }),
  refused("not-yet", token({ nbf: nowS + 100 }), { body: "Jwt not yet valid" }),
  refused("issuer", token({ iss: "https://other.test" }), { body: "Jwt issuer is not configured" }),
  refused("audience", GOOD, { body: "Audiences in Jwt are not allowed", status: 403 }, { audiences: ["nobody"] }),
  refused("subject", GOOD, { body: "Jwt verification fails" }, { subjects: { prefix: "joe" } }),
  refused("no-expiration", token({ exp: undefined }), { body: "Jwt verification fails" }, { requireExpiration: true }),
  refused("lifetime", GOOD, { body: "Jwt verification fails" }, { maxLifetime: "600s" }),
  refused("two-parts", "a.b", {
    body: "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
  }),
  refused("header-not-base64", "a.b.c", { body: "Jwt header is an invalid Base64url encoded" }),
  refused("header-not-json", "YWJj.YWJj.YWJj", { body: "Jwt header is an invalid JSON" }),
  refused("kid-not-text", token({}, { kid: 5 }), { body: "Jwt header [kid] field is not a string" }),
  refused("aud-not-text", token({ aud: 5 }), { body: "Jwt payload [aud] field is not a string or string list" }),
  refused("exp-not-number", token({ exp: "soon" }), { body: "Jwt payload [exp] field is not an integer" }),
  refused("oversized", `${GOOD.split(".")[0]}.${"A".repeat(50_000)}.AAAA`, {
    body: "Jwt payload is an invalid JSON",
  }),
];

const lenient: readonly WalkCase[] = [
  {
    name: "jwt-missing",
    filters: [requires(ONE)],
    routes: [toOrigin(ANY)],
    call: {},
    expect: {
      status: 401,
      body: "Jwt is missing",
      headers: { "www-authenticate": 'Bearer realm="http://jwt-missing.test/"', "content-type": "text/plain" },
      log: "- jwt_authn_access_denied{Jwt_is_missing} -",
    },
  },
  {
    name: "jwt-failure-stripped",
    filters: [
      jwt({ providers: { one: provider() }, rules: [{ match: ANY, requires: ONE }], stripFailureResponse: true }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: {
      status: 401,
      body: "",
      headers: { "www-authenticate": null },
      log: "- jwt_authn_access_denied{Jwt_is_missing} -",
    },
  },
  {
    name: "jwt-allow-missing",
    filters: [requires({ allowMissing: {} })],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 200, stats: { "http.jwt-allow-missing.jwt_authn.allowed": 1 } },
  },
  {
    name: "jwt-allow-missing-but-bad",
    filters: [requires({ allowMissing: {} })],
    routes: [toOrigin(ANY)],
    call: bearer(tamperedToken()),
    expect: { status: 401, body: "Jwt verification fails" },
  },
  {
    name: "jwt-allow-missing-unknown-issuer",
    filters: [requires({ allowMissing: {} })],
    routes: [toOrigin(ANY)],
    call: bearer(token({ iss: "x" })),
    expect: { status: 401, body: "Jwt issuer is not configured" },
  },
  {
    name: "jwt-allow-failed",
    filters: [
      requires({ allowMissingOrFailed: {} }, { payloadInMetadata: "p" }),
      mutate({ requestMutations: [shows("x-sub", "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:p:sub)%")] }),
    ],
    routes: [toOrigin(ANY)],
    call: bearer(tamperedToken()),
    expect: { status: 200, origin: { headers: { "x-sub": null, authorization: /^Bearer / } } },
  },
  {
    name: "jwt-any-second",
    filters: [
      jwt({
        providers: { one: provider(), two: provider({ issuer: "two" }) },
        rules: [{ match: ANY, requires: { requiresAny: { requirements: [ONE, { providerName: "two" }] } } }],
      }),
    ],
    routes: [toOrigin(ANY)],
    call: bearer(token({ iss: "two" })),
    expect: { status: 200 },
  },
  {
    name: "jwt-any-neither",
    filters: [
      jwt({
        providers: { one: provider({ audiences: ["no"] }), two: provider({ issuer: "two" }) },
        rules: [{ match: ANY, requires: { requiresAny: { requirements: [ONE, { providerName: "two" }] } } }],
      }),
    ],
    routes: [toOrigin(ANY)],
    call: bearer(GOOD),
    expect: { status: 403, body: "Audiences in Jwt are not allowed" },
  },
  {
    name: "jwt-any-missing",
    filters: [
      jwt({
        providers: { one: provider(), two: provider({ issuer: "two" }) },
        rules: [{ match: ANY, requires: { requiresAny: { requirements: [ONE, { providerName: "two" }] } } }],
      }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 401, body: "Jwt is missing" },
  },
  {
    name: "jwt-any-unknown-issuer",
    filters: [
      jwt({
        providers: { one: provider(), two: provider({ issuer: "two" }) },
        rules: [{ match: ANY, requires: { requiresAny: { requirements: [ONE, { providerName: "two" }] } } }],
      }),
    ],
    routes: [toOrigin(ANY)],
    call: bearer(token({ iss: "x" })),
    expect: { status: 401, body: "Jwt issuer is not configured" },
  },
  {
    name: "jwt-any-or-missing",
    filters: [requires({ requiresAny: { requirements: [ONE, { allowMissing: {} }] } })],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 200 },
  },
  {
    name: "jwt-any-or-missing-bad",
    filters: [requires({ requiresAny: { requirements: [ONE, { allowMissing: {} }] } })],
    routes: [toOrigin(ANY)],
    call: bearer(token({ exp: 5 })),
    expect: { status: 401, body: "Jwt is expired" },
  },
  {
    name: "jwt-all",
    filters: [
      jwt({
        providers: { one: provider(), two: provider({ issuer: "two", fromHeaders: [{ name: "x-two" }] }) },
        rules: [{ match: ANY, requires: { requiresAll: { requirements: [ONE, { providerName: "two" }] } } }],
      }),
    ],
    routes: [toOrigin(ANY)],
    call: { headers: { authorization: `Bearer ${GOOD}`, "x-two": token({ iss: "two" }) } },
    expect: { status: 200, origin: { headers: { "x-two": null, authorization: null } } },
  },
  {
    name: "jwt-all-one-missing",
    filters: [
      jwt({
        providers: { one: provider(), two: provider({ issuer: "two", fromHeaders: [{ name: "x-two" }] }) },
        rules: [{ match: ANY, requires: { requiresAll: { requirements: [ONE, { providerName: "two" }] } } }],
      }),
    ],
    routes: [toOrigin(ANY)],
    call: bearer(GOOD),
    expect: { status: 401, body: "Jwt is missing" },
  },
];

const good: readonly WalkCase[] = [
  {
    name: "jwt-good",
    filters: [requires(ONE)],
    routes: [toOrigin(ANY)],
    call: bearer(GOOD),
    expect: {
      status: 200,
      origin: { headers: { authorization: null } },
      stats: { "http.jwt-good.jwt_authn.allowed": 1, "http.jwt-good.jwt_authn.denied": 0 },
    },
  },
  {
    name: "jwt-rsa",
    filters: [requires(ONE)],
    routes: [toOrigin(ANY)],
    call: bearer(rsaToken()),
    expect: { status: 200 },
  },
  {
    name: "jwt-twice",
    filters: [requires(ONE, { jwtCacheConfig: { jwtCacheSize: 10 }, audiences: ["api.test"] })],
    routes: [toOrigin(ANY)],
    before: [bearer(GOOD)],
    call: bearer(GOOD),
    expect: {
      status: 200,
      stats: {
        "http.jwt-twice.jwt_authn.jwt_cache_hit": 1,
        "http.jwt-twice.jwt_authn.jwt_cache_miss": 1,
        "http.jwt-twice.jwt_authn.allowed": 2,
      },
    },
  },
  {
    name: "jwt-expired-within-skew",
    filters: [requires(ONE)],
    routes: [toOrigin(ANY)],
    // The table takes most of a minute before it comes to this.
    call: bearer(token({ exp: nowS - 1 })),
    expect: { status: 200 },
  },
  {
    name: "jwt-skew-configured",
    filters: [requires(ONE, { clockSkewSeconds: 5 })],
    routes: [toOrigin(ANY)],
    call: bearer(token({ exp: nowS - 30 })),
    expect: { status: 401, body: "Jwt is expired" },
  },
  {
    name: "jwt-forwarded",
    filters: [requires(ONE, { forward: true, forwardPayloadHeader: "x-payload" })],
    routes: [toOrigin(ANY)],
    call: { headers: { authorization: `Bearer ${GOOD}`, "x-payload": "forged" } },
    expect: {
      status: 200,
      origin: { headers: { authorization: `Bearer ${GOOD}`, "x-payload": payloadOf(GOOD) } },
    },
  },
  {
    name: "jwt-payload-padded",
    filters: [requires(ONE, { forwardPayloadHeader: "x-payload", padForwardPayloadHeader: true })],
    routes: [toOrigin(ANY)],
    call: bearer(token({ pad: "x" })),
    expect: { status: 200, origin: { headers: { "x-payload": /^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{2,3}=+)?$/ } } },
  },
  {
    name: "jwt-claims-to-headers",
    filters: [
      requires(ONE, {
        claimToHeaders: [
          { headerName: "x-sub", claimName: "sub" },
          { headerName: "x-level", claimName: "level" },
          { headerName: "x-admin", claimName: "admin" },
          { headerName: "x-deep", claimName: "nested.deep-er.key" },
          { headerName: "x-groups", claimName: "groups" },
          { headerName: "x-none", claimName: "nothing" },
        ],
      }),
    ],
    routes: [toOrigin(ANY)],
    call: { headers: { authorization: `Bearer ${GOOD}`, "x-sub": "forged", "x-none": "forged" } },
    expect: {
      status: 200,
      origin: {
        headers: {
          "x-sub": "jane",
          "x-level": "3",
          "x-admin": "true",
          "x-deep": "found",
          "x-groups": Buffer.from('["admin","dev"]').toString("base64url"),
          "x-none": null,
        },
      },
    },
  },
  {
    name: "jwt-claims-in-metadata",
    filters: [
      requires(ONE, {
        payloadInMetadata: "payload",
        headerInMetadata: "header",
        normalizePayloadInMetadata: { spaceDelimitedClaims: ["scope"] },
      }),
      mutate({
        requestMutations: [
          shows("x-sub", "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)%"),
          shows("x-scope", "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:scope)%"),
          shows("x-alg", "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:header:alg)%"),
          shows("x-level", "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:level)%"),
          shows("x-admin", "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:admin)%"),
        ],
      }),
    ],
    routes: [toOrigin(ANY)],
    call: bearer(GOOD),
    expect: {
      status: 200,
      origin: {
        headers: {
          "x-sub": "jane",
          "x-scope": '["read","write"]',
          "x-alg": "ES256",
          "x-level": "3",
          "x-admin": "true",
        },
      },
    },
  },
  {
    name: "jwt-from-header",
    filters: [requires(ONE, { fromHeaders: [{ name: "x-jwt", valuePrefix: "T " }] })],
    routes: [toOrigin(ANY)],
    call: { headers: { "x-jwt": `T ${GOOD}` } },
    expect: { status: 200, origin: { headers: { "x-jwt": null } } },
  },
  {
    name: "jwt-from-param",
    filters: [requires(ONE, { fromParams: ["tok"] })],
    routes: [toOrigin(ANY)],
    call: { path: `/?tok=${GOOD}` },
    expect: { status: 200 },
  },
  {
    name: "jwt-default-param",
    filters: [requires(ONE)],
    routes: [toOrigin(ANY)],
    call: { path: `/?access_token=${GOOD}` },
    expect: { status: 200 },
  },
  {
    name: "jwt-from-cookie",
    filters: [requires(ONE, { fromCookies: ["session"] })],
    routes: [toOrigin(ANY)],
    call: { headers: { cookie: `a=b; session=${GOOD}` } },
    expect: { status: 200, origin: { headers: { cookie: `a=b; session=${GOOD}` } } },
  },
  {
    name: "jwt-two-tokens",
    filters: [requires(ONE)],
    routes: [toOrigin(ANY)],
    call: { path: `/?access_token=${tamperedToken()}`, ...bearer(GOOD) },
    expect: { status: 401, body: "Jwt verification fails" },
  },
  {
    name: "jwt-remote",
    filters: [
      requires(ONE, {
        localJwks: undefined,
        remoteJwks: { httpUri: { uri: "http://keys.test/jwks?x=1", cluster: "origin", timeout: "1s" } },
      }),
    ],
    routes: [toOrigin(ANY)],
    before: [bearer(GOOD)],
    call: bearer(GOOD),
    expect: {
      status: 200,
      stats: { "http.jwt-remote.jwt_authn.jwks_fetch_success": 1, "http.jwt-remote.jwt_authn.allowed": 2 },
    },
  },
  {
    name: "jwt-remote-refused",
    filters: [
      requires(ONE, {
        localJwks: undefined,
        remoteJwks: { httpUri: { uri: "http://keys.test/jwks", cluster: "refusing", timeout: "1s" } },
      }),
    ],
    routes: [toOrigin(ANY)],
    call: bearer(GOOD),
    expect: {
      status: 401,
      body: "Jwks remote fetch is failed",
      stats: { "http.jwt-remote-refused.jwt_authn.jwks_fetch_failed": 1 },
    },
  },
  {
    name: "jwt-remote-ahead",
    filters: [
      requires(ONE, {
        localJwks: undefined,
        remoteJwks: {
          httpUri: { uri: "http://keys.test/jwks", cluster: "origin", timeout: "1s" },
          asyncFetch: { fastListener: true },
        },
      }),
    ],
    routes: [toOrigin(ANY)],
    call: bearer(GOOD),
    expect: { status: 200, stats: { "http.jwt-remote-ahead.jwt_authn.jwks_fetch_success": 1 } },
  },
];

function perRoute(config: Json): Json {
  return {
    typedPerFilterConfig: {
      "envoy.filters.http.jwt_authn": { "@type": `${TYPE}.filters.http.jwt_authn.v3.PerRouteConfig`, ...config },
    },
  };
}

const rules = jwt({
  providers: { one: provider() },
  rules: [
    { match: { prefix: "/open" } },
    { match: { path: "/named" }, requirementName: "strict" },
    { match: ANY, requires: ONE },
  ],
  requirementMap: { strict: ONE, loose: { allowMissing: {} } },
  bypassCorsPreflight: true,
});

const routing: readonly WalkCase[] = [
  {
    name: "jwt-rule-open",
    filters: [rules],
    routes: [toOrigin(ANY)],
    call: { path: "/open/a" },
    expect: { status: 200, stats: { "http.jwt-rule-open.jwt_authn.allowed": 1 } },
  },
  {
    name: "jwt-rule-named",
    filters: [rules],
    routes: [toOrigin(ANY)],
    call: { path: "/named" },
    expect: { status: 401 },
  },
  {
    name: "jwt-preflight",
    filters: [rules],
    routes: [toOrigin(ANY)],
    call: { method: "OPTIONS", headers: { origin: "a", "access-control-request-method": "PUT" } },
    expect: { status: 200, stats: { "http.jwt-preflight.jwt_authn.cors_preflight_bypassed": 1 } },
  },
  {
    name: "jwt-route-off",
    filters: [rules],
    routes: [toOrigin(ANY, {}, perRoute({ disabled: true }))],
    call: {},
    expect: { status: 200 },
  },
  {
    name: "jwt-route-named",
    filters: [rules],
    routes: [toOrigin(ANY, {}, perRoute({ requirementName: "loose" }))],
    call: {},
    expect: { status: 200 },
  },
  {
    name: "jwt-route-wrong-name",
    filters: [jwt({ providers: { one: provider() }, requirementMap: { strict: ONE } })],
    routes: [toOrigin(ANY, {}, perRoute({ requirementName: "nothing" }))],
    call: {},
    expect: {
      status: 403,
      body: "Failed JWT authentication: Wrong requirement_name: nothing. It should be one of [strict]",
      log: /jwt_authn_access_denied\{Wrong_requirement_name:_nothing\._It_should_be_one_of_\[strict\]\}/,
    },
  },
  {
    name: "jwt-no-rules",
    filters: [jwt({ providers: { one: provider() } })],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 200 },
  },
  {
    name: "jwt-stat-prefix",
    filters: [jwt({ providers: { one: provider() }, rules: [{ match: ANY, requires: ONE }], statPrefix: "mine" })],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 401, stats: { "http.jwt-stat-prefix.jwt_authn.mine.denied": 1 } },
  },
  {
    name: "jwt-route-chosen-by-claim",
    filters: [requires(ONE, { claimToHeaders: [{ headerName: "x-sub", claimName: "sub" }], clearRouteCache: true })],
    routes: [
      says({ prefix: "/", headers: [{ name: "x-sub", stringMatch: { exact: "jane" } }] }, "jane's"),
      says(ANY, "anybody's"),
    ],
    call: bearer(GOOD),
    expect: { status: 200, body: "jane's" },
  },
  {
    name: "jwt-claim-denied-by-rbac",
    filters: [requires(ONE, { payloadInMetadata: "payload" }), onlyGroup("ops")],
    routes: [toOrigin(ANY)],
    call: bearer(GOOD),
    expect: { status: 403, body: "RBAC: access denied" },
  },
  {
    name: "jwt-claim-allowed-by-rbac",
    filters: [requires(ONE, { payloadInMetadata: "payload" }), onlyGroup("dev")],
    routes: [toOrigin(ANY)],
    call: bearer(GOOD),
    expect: { status: 200 },
  },
];

function onlyGroup(group: string): Json {
  const path = [{ key: "payload" }, { key: "groups" }];
  const value = { listMatch: { oneOf: { stringMatch: { exact: group } } } };
  const metadataMatcher = { filter: "envoy.filters.http.jwt_authn", path, value };
  return {
    name: "envoy.filters.http.rbac",
    typedConfig: {
      "@type": `${TYPE}.filters.http.rbac.v3.RBAC`,
      rules: {
        policies: {
          p: { permissions: [{ any: true }], principals: [{ sourcedMetadata: { metadataMatcher } }] },
        },
      },
    },
  };
}

export const jwtCases: readonly WalkCase[] = [...refusals, ...lenient, ...good, ...routing];
