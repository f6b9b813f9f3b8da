// TLS of a gateway's servers: what each presents and whom it asks for a certificate.

import type { GatewayServer } from "../api/istio/gateway.ts";
import { type NamedCredential, serverCredentials } from "../model/credential.ts";
import type { PlacedServer } from "../model/gateway.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import type { TransportSocket } from "../proto/gen/envoy/config/core/v3/base.ts";
import {
  CertificateValidationContext,
  SubjectAltNameMatcher_SanType,
  TlsCertificate,
} from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/common.ts";
import { CommonTlsContext, DownstreamTlsContext } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import { secretConfig, secretName, trustName } from "./credential.ts";
import type { ProxyNode } from "./proxy.ts";
import { ALPN_MESH, ALPN_MESH_HTTP, meshEdgeSocket, pemFile, tlsParameters, tlsSocket } from "./tls.ts";
import { any } from "./wire.ts";

type ServerTls = NonNullable<GatewayServer["tls"]>;
type Use = "http" | "tcp";

interface ServingProxy {
  readonly engine: ProxyNode["engine"];
  readonly mesh: MeshConfig;
}

const MESH_ALPN: Readonly<Record<Use, readonly string[]>> = {
  http: [...ALPN_MESH_HTTP, ALPN_MESH, "http/1.1"],
  tcp: [ALPN_MESH],
};

/** Of a server that ends TLS itself. */
export function serverSocket(tls: ServerTls, use: Use, { engine, mesh }: ServingProxy): TransportSocket {
  const { mode, subjectAltNames = [] } = tls;
  if (mode === "ISTIO_MUTUAL") return meshEdgeSocket(MESH_ALPN[use], subjectAltNames, mesh);
  const context = DownstreamTlsContext.fromPartial({ requireClientCertificate: mode === "MUTUAL" });
  const common = CommonTlsContext.fromPartial({ alpnProtocols: alpnOf(use, engine), tlsParams: parameters(tls, mesh) });
  const named = serverCredentials(tls);
  setCertificates(common, tls, named);
  if (mode !== "SIMPLE") setTrust(common, tls, named);
  context.commonTlsContext = common;
  const typeName = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
  return tlsSocket(any(typeName, DownstreamTlsContext, context));
}

/** weft's own proxy speaks HTTP/1.1. */
function alpnOf(use: Use, engine: ProxyNode["engine"]): string[] {
  if (use === "tcp") return [];
  return engine === "weft" ? ["http/1.1"] : ["h2", "http/1.1"];
}

function setCertificates(common: CommonTlsContext, tls: ServerTls, named: readonly NamedCredential[]): void {
  const certificates = named.filter(({ needs }) => needs === "certificate");
  if (certificates.length > 0) {
    common.tlsCertificateSdsSecretConfigs = certificates.map(({ name }) => secretConfig(secretName(name)));
    return;
  }
  const files = tls.tlsCertificates ?? [];
  const pairs = files.length > 0 ? files : [tls];
  common.tlsCertificates = pairs.map(({ serverCertificate, privateKey }) =>
    TlsCertificate.fromPartial({ certificateChain: pemFile(serverCertificate), privateKey: pemFile(privateKey) }),
  );
}

/** OPTIONAL_MUTUAL asks too, but only what is shown is checked. */
function setTrust(common: CommonTlsContext, tls: ServerTls, named: readonly NamedCredential[]): void {
  const trust = named.find(({ needs }) => needs === "trust");
  const validation = CertificateValidationContext.fromPartial({
    verifyCertificateSpki: tls.verifyCertificateSpki ?? [],
    verifyCertificateHash: tls.verifyCertificateHash ?? [],
    matchTypedSubjectAltNames: (tls.subjectAltNames ?? []).flatMap((name) =>
      [SubjectAltNameMatcher_SanType.DNS, SubjectAltNameMatcher_SanType.URI].map((sanType) => ({
        sanType,
        matcher: { matchPattern: { $case: "exact" as const, value: name } },
      })),
    ),
  });
  if (trust === undefined) {
    validation.trustedCa = { ...pemFile(tls.caCertificates), watchedDirectory: undefined };
    if ((tls.caCrl ?? "") !== "") validation.crl = { ...pemFile(tls.caCrl), watchedDirectory: undefined };
    common.validationContextType = { $case: "validationContext", value: validation };
    return;
  }
  common.validationContextType = {
    $case: "combinedValidationContext",
    value: {
      defaultValidationContext: validation,
      validationContextSdsSecretConfig: secretConfig(trustName(trust.name)),
      validationContextCertificateProvider: undefined,
      validationContextCertificateProviderInstance: undefined,
    },
  };
}

function parameters({ minProtocolVersion, maxProtocolVersion, cipherSuites = [] }: ServerTls, mesh: MeshConfig) {
  const { tlsDefaults } = mesh.settings;
  return tlsParameters({
    ...tlsDefaults,
    ...(minProtocolVersion === undefined ? {} : { minProtocolVersion }),
    ...(maxProtocolVersion === undefined ? {} : { maxProtocolVersion }),
    ...(cipherSuites.length === 0 ? {} : { cipherSuites }),
  });
}

/** What the servers name. */
export function serverCredentialsOf(servers: readonly PlacedServer[]): readonly NamedCredential[] {
  return servers.flatMap(({ spec }) => serverCredentials(spec.tls));
}
