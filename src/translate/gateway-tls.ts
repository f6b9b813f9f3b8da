// TLS of a gateway's servers: what each presents and whom it asks for a certificate, and the secrets behind the names.

import type { GatewayServer } from "../api/istio/gateway.ts";
import { isCipher } from "../api/istio/gateway-check.ts";
import type { CredentialResource } from "../ingest/credential.ts";
import { type NamedCredential, serverCredentials } from "../model/credential.ts";
import type { PlacedServer } from "../model/gateway.ts";
import type { TransportSocket } from "../proto/gen/envoy/config/core/v3/base.ts";
import { ApiVersion } from "../proto/gen/envoy/config/core/v3/config_source.ts";
import {
  CertificateValidationContext,
  SubjectAltNameMatcher_SanType,
  TlsCertificate,
  TlsParameters,
  TlsParameters_TlsProtocol,
} from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/common.ts";
import { SdsSecretConfig, Secret } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import { CommonTlsContext, DownstreamTlsContext } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import type { ProxyNode } from "./proxy.ts";
import { ALPN_MESH, ALPN_MESH_HTTP, meshEdgeSocket, pemFile, tlsSocket } from "./tls.ts";
import { inline, trustedBy } from "./trust.ts";
import { any } from "./wire.ts";

type ServerTls = NonNullable<GatewayServer["tls"]>;
type Use = "http" | "tcp";

const MESH_ALPN: Readonly<Record<Use, readonly string[]>> = {
  http: [...ALPN_MESH_HTTP, ALPN_MESH, "http/1.1"],
  tcp: [ALPN_MESH],
};

/** Of a server that ends TLS itself. */
export function serverSocket(tls: ServerTls, use: Use, engine: ProxyNode["engine"]): TransportSocket {
  const { mode, subjectAltNames = [] } = tls;
  if (mode === "ISTIO_MUTUAL") return meshEdgeSocket(MESH_ALPN[use], subjectAltNames);
  const context = DownstreamTlsContext.fromPartial({ requireClientCertificate: mode === "MUTUAL" });
  const common = CommonTlsContext.fromPartial({ alpnProtocols: alpnOf(use, engine), tlsParams: parameters(tls) });
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

const VERSIONS: Readonly<Record<string, TlsParameters_TlsProtocol>> = {
  TLSV1_0: TlsParameters_TlsProtocol.TLSv1_0,
  TLSV1_1: TlsParameters_TlsProtocol.TLSv1_1,
  TLSV1_2: TlsParameters_TlsProtocol.TLSv1_2,
  TLSV1_3: TlsParameters_TlsProtocol.TLSv1_3,
};

function parameters({ minProtocolVersion, maxProtocolVersion, cipherSuites = [] }: ServerTls): TlsParameters {
  return TlsParameters.fromPartial({
    tlsMinimumProtocolVersion: VERSIONS[minProtocolVersion ?? ""] ?? TlsParameters_TlsProtocol.TLSv1_2,
    tlsMaximumProtocolVersion: VERSIONS[maxProtocolVersion ?? ""] ?? TlsParameters_TlsProtocol.TLS_AUTO,
    cipherSuites: [...new Set(cipherSuites.filter(isCipher))],
  });
}

const PREFIX = "kubernetes://";
const TRUST_SUFFIX = "-cacert";

function secretName(credential: string): string {
  return `${PREFIX}${credential}`;
}

function trustName(credential: string): string {
  return `${PREFIX}${credential}${credential.endsWith(TRUST_SUFFIX) ? "" : TRUST_SUFFIX}`;
}

/** One that does not exist must not hold up the listener for ever, so the proxy's own time limit holds. */
function secretConfig(name: string): SdsSecretConfig {
  return SdsSecretConfig.fromPartial({
    name,
    sdsConfig: { configSourceSpecifier: { $case: "ads", value: {} }, resourceApiVersion: ApiVersion.V3 },
  });
}

/** What the servers name, from the proxy's own namespace, for a proxy that has shown to be of it. */
export function gatewaySecrets(
  servers: readonly PlacedServer[],
  proxy: ProxyNode,
  credentials: ReadonlyMap<string, CredentialResource>,
): readonly Secret[] {
  if (!proxy.verified) return [];
  const secrets = new Map<string, Secret>();
  for (const { name, needs } of servers.flatMap(({ spec }) => serverCredentials(spec.tls))) {
    const own = credentials.get(`${proxy.namespace}/${name}`)?.credential;
    if (needs === "certificate") {
      if (own?.certificate !== undefined) secrets.set(secretName(name), certificateSecret(name, own.certificate));
      continue;
    }
    const beside = credentials.get(`${proxy.namespace}/${name}${TRUST_SUFFIX}`)?.credential;
    const trust = beside?.trust ?? own?.trust;
    if (trust !== undefined) {
      secrets.set(trustName(name), trustedBy(trustName(name), trust.bundlePem, trust.crlPem));
    }
  }
  return [...secrets.values()];
}

type Credential = NonNullable<CredentialResource["credential"]>;

function certificateSecret(name: string, { chainPem, key }: NonNullable<Credential["certificate"]>): Secret {
  const certificate = TlsCertificate.fromPartial({
    certificateChain: inline(chainPem),
    privateKey: inline(key.reveal()),
  });
  return Secret.fromPartial({ name: secretName(name), type: { $case: "tlsCertificate", value: certificate } });
}
