// Paths around a rule about paths, under each normalisation of MeshConfig: what the policy sees is what is sent on.

import type { Json, WalkCase } from "./case.ts";
import { TYPE, toOrigin } from "./route.ts";

const NORMALIZATIONS = ["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] as const;

const at = (path: string, kind: "exact" | "prefix"): Json => ({ urlPath: { path: { [kind]: path } } });

/** `paths: ["/admin", "/admin/*"]` of a DENY policy. */
const NO_ADMIN: Json = {
  typedPerFilterConfig: {
    "envoy.filters.http.rbac": {
      "@type": `${TYPE}.filters.http.rbac.v3.RBACPerRoute`,
      rbac: {
        rules: {
          action: "DENY",
          policies: {
            "ns[foo]-policy[no-admin]-rule[0]": {
              permissions: [at("/admin", "exact"), at("/admin/", "prefix")],
              principals: [{ any: true }],
            },
          },
        },
      },
    },
  },
};

/** What the origin is asked, in the order of the normalisations; null: 403. */
type Row = readonly [path: string, ...seen: (string | null)[]];

const same = (path: string): Row => [path, path, path, path, path];
const denied = (path: string): Row => [path, null, null, null, null];

const ROWS: readonly Row[] = [
  denied("/admin"),
  denied("/admin/"),
  denied("/admin/x"),
  denied("/admin?q=/public"),
  denied("http://HOST/admin"),
  same("/administrator"),
  same("/ADMIN"),
  same("/admin;v=1"),
  same("/public?next=/admin"),
  same("/public/%252e%252e/admin"),
  ["/public/../admin", "/public/../admin", null, null, null],
  ["/./admin", "/./admin", null, null, null],
  ["/admin/../public", null, "/public", "/public", "/public"],
  ["/public/%2e%2e/admin", "/public/%2e%2e/admin", null, null, null],
  ["/public/%2E./admin", "/public/%2E./admin", null, null, null],
  ["/%61dmin", "/%61dmin", null, null, null],
  ["/adm%69n/x", "/adm%69n/x", null, null, null],
  ["/public\\..\\admin", "/public\\..\\admin", null, null, null],
  ["/\\admin", "/\\admin", "//admin", null, null],
  ["//admin", "//admin", "//admin", null, null],
  ["///admin//x", "///admin//x", "///admin//x", null, null],
  ["/public//../admin", "/public//../admin", "/public/admin", "/public/admin", "/public/admin"],
  ["/admin%2Fx", "/admin%2Fx", "/admin%2Fx", "/admin%2Fx", null],
  ["/%2Fadmin", "/%2Fadmin", "/%2Fadmin", "/%2Fadmin", null],
  ["/public%2f..%2fadmin", "/public%2f..%2fadmin", "/public%2f..%2fadmin", "/public%2f..%2fadmin", null],
  ["/public%5C..%5Cadmin", "/public%5C..%5Cadmin", "/public%5C..%5Cadmin", "/public%5C..%5Cadmin", null],
];

function cases([path, ...seen]: Row, row: number): readonly WalkCase[] {
  return NORMALIZATIONS.map((normalization, i): WalkCase => {
    const name = `normal-${row}-${normalization.toLowerCase().replaceAll("_", "-")}`;
    const wanted = seen[i] ?? null;
    return {
      name,
      listener: normalization,
      routes: [toOrigin({ prefix: "" })],
      host: NO_ADMIN,
      call: {
        raw: `GET ${path.replace("HOST", `${name}.test`)} HTTP/1.1\r\nhost: ${name}.test\r\nconnection: close\r\n\r\n`,
      },
      expect:
        wanted === null
          ? { status: 403, body: "RBAC: access denied", origin: null }
          : { status: 200, origin: { path: wanted } },
    };
  });
}

/** A fragment is never sent by a client: whoever sends one means to mislead. */
const FRAGMENTS = NORMALIZATIONS.map((normalization): WalkCase => {
  const name = `normal-fragment-${normalization.toLowerCase().replaceAll("_", "-")}`;
  return {
    name,
    listener: normalization,
    routes: [toOrigin({ prefix: "" })],
    host: NO_ADMIN,
    call: { raw: `GET /admin#x HTTP/1.1\r\nhost: ${name}.test\r\nconnection: close\r\n\r\n` },
    expect: { status: 400, origin: null },
  };
});

export const normalizationCases: readonly WalkCase[] = [...ROWS.flatMap(cases), ...FRAGMENTS];
