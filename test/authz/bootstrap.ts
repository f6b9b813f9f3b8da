// Many sets of policies in one proxy: a request names its set in a header, and the set's route has its RBAC filters.

import assert from "node:assert/strict";
import type { AuthorizationPolicy } from "../../src/api/istio/authorization-policy.ts";
import { isRecord } from "../../src/base/json.ts";
import type { HttpFilter } from "../../src/proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { HttpFilter as Codec } from "../../src/proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { toEnvoyJson } from "../../src/proto/json.ts";
import { jwtFilters } from "../../src/translate/jwt.ts";
import { httpRbacFilters } from "../../src/translate/rbac.ts";
import type { Certified } from "../unit/pki.ts";
import { JWKS } from "../walk/tokens.ts";
import { ISSUERS, MESH } from "./random.ts";

type Json = Readonly<Record<string, unknown>>;

const TYPE = "type.googleapis.com/envoy.extensions";
/** AUDIT, DENY and ALLOW. */
const SECTIONS = 3;

export interface Given {
  readonly sets: readonly (readonly AuthorizationPolicy[])[];
  /** Each takes plaintext and TLS. */
  readonly ports: readonly number[];
  readonly admin: number;
  readonly root: Certified;
  readonly server: Certified;
}

export function bootstrapOf(given: Given): Json {
  return {
    admin: { address: { socketAddress: { address: "127.0.0.1", portValue: given.admin } } },
    staticResources: { listeners: given.ports.map((port) => listener(port, given)), clusters: [] },
  };
}

/** A filter's message as JSON with its type. */
function configOf(filter: HttpFilter): Json {
  const json = toEnvoyJson(Codec, filter);
  assert.ok(isRecord(json) && isRecord(json["typed_config"]));
  return json["typed_config"];
}

function listener(port: number, given: Given): Json {
  const manager = managerOf(given);
  return {
    name: `on-${port}`,
    address: { socketAddress: { address: "0.0.0.0", portValue: port } },
    listenerFilters: [
      {
        name: "envoy.filters.listener.tls_inspector",
        typedConfig: { "@type": `${TYPE}.filters.listener.tls_inspector.v3.TlsInspector` },
      },
    ],
    filterChains: [
      { filterChainMatch: { transportProtocol: "tls" }, filters: [manager], transportSocket: socketOf(given) },
      { filterChainMatch: { transportProtocol: "raw_buffer" }, filters: [manager] },
    ],
  };
}

function socketOf({ server, root }: Given): Json {
  return {
    name: "envoy.transport_sockets.tls",
    typedConfig: {
      "@type": `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
      requireClientCertificate: true,
      commonTlsContext: {
        tlsCertificates: [
          { certificateChain: { inlineString: server.pem }, privateKey: { inlineString: server.keyPem } },
        ],
        validationContext: { trustedCa: { inlineString: root.pem } },
      },
    },
  };
}

function managerOf({ sets }: Given): Json {
  const rbac = `${TYPE}.filters.http.rbac.v3`;
  const jwt = jwtFilters(
    ISSUERS.map((issuer) => ({ issuer, jwks: JWKS })),
    new Map(),
    { routesByClaims: false },
  );
  return {
    name: "envoy.filters.network.http_connection_manager",
    typedConfig: {
      "@type": `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      statPrefix: "authz",
      routeConfig: {
        name: "sets",
        virtualHosts: [{ name: "sets", domains: ["*"], routes: sets.map((set, i) => routeOf(set, i)) }],
      },
      httpFilters: [
        ...jwt.map((filter) => ({ name: filter.name, typedConfig: configOf(filter) })),
        ...Array.from({ length: SECTIONS }, (_, i) => ({
          name: `rbac-${i}`,
          typedConfig: { "@type": `${rbac}.RBAC` },
        })),
        { name: "envoy.filters.http.router", typedConfig: { "@type": `${TYPE}.filters.http.router.v3.Router` } },
      ],
    },
  };
}

function routeOf(set: readonly AuthorizationPolicy[], index: number): Json {
  const filters = httpRbacFilters(set, { mesh: MESH, servedPort: undefined });
  const overrides = filters.map((filter, i) => {
    const { "@type": _type, ...rbac } = configOf(filter);
    return [`rbac-${i}`, { "@type": `${TYPE}.filters.http.rbac.v3.RBACPerRoute`, rbac }] as const;
  });
  return {
    match: { prefix: "/", headers: [{ name: "x-set", stringMatch: { exact: String(index) } }] },
    directResponse: { status: 200, body: { inlineString: "let in" } },
    typedPerFilterConfig: Object.fromEntries(overrides),
  };
}
