// TLS contexts: the mesh's own certificates on both sides, and what a DestinationRule asks for.

import type { ClientTls } from "../api/istio/destination-rule.ts";
import { isCipher } from "../api/istio/gateway-check.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import { TransportSocket } from "../proto/gen/envoy/config/core/v3/base.ts";
import { ApiConfigSource_ApiType, ApiVersion } from "../proto/gen/envoy/config/core/v3/config_source.ts";
import { RawBuffer } from "../proto/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.ts";
import {
  CertificateValidationContext,
  SubjectAltNameMatcher_SanType,
  TlsCertificate,
  TlsParameters,
  TlsParameters_TlsProtocol,
} from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/common.ts";
import { SdsSecretConfig } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import {
  CommonTlsContext,
  CommonTlsContext_CombinedCertificateValidationContext,
  DownstreamTlsContext,
  UpstreamTlsContext,
} from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import { secretConfig, secretName, trustName } from "./credential.ts";
import { AGENT_CLUSTER } from "./names.ts";
import type { ProxyNode } from "./proxy.ts";
import { any } from "./wire.ts";

/** The client offers this; HTTP replaces it by a filter, so that the server can tell HTTP from TCP before decrypting. */
export const ALPN_MESH = "istio";
export const ALPN_MESH_HTTP: readonly string[] = ["istio-http/1.1", "istio-http/1.0"];

const TLS = "envoy.extensions.transport_sockets.tls.v3";

export function plainSocket(): TransportSocket {
  return TransportSocket.fromPartial({
    name: "envoy.transport_sockets.raw_buffer",
    configType: {
      $case: "typedConfig",
      value: any("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer", RawBuffer, {}),
    },
  });
}

/** Both secrets are served beside the proxy: the workload's key never travels. */
function localSecret(name: string): SdsSecretConfig {
  return SdsSecretConfig.fromPartial({
    name,
    sdsConfig: {
      configSourceSpecifier: {
        $case: "apiConfigSource",
        value: {
          apiType: ApiConfigSource_ApiType.GRPC,
          transportApiVersion: ApiVersion.V3,
          setNodeOnFirstMessageOnly: true,
          grpcServices: [{ targetSpecifier: { $case: "envoyGrpc", value: { clusterName: AGENT_CLUSTER } } }],
        },
      },
      initialFetchTimeout: { seconds: 0 },
      resourceApiVersion: ApiVersion.V3,
    },
  });
}

/** Which names of a certificate are let in: whole ones, or all that begin so. None: any. */
interface Accepted {
  readonly match: "exact" | "prefix";
  readonly identities: readonly string[];
}

function meshContext(alpn: readonly string[], { match, identities }: Accepted, mesh: MeshConfig): CommonTlsContext {
  return CommonTlsContext.fromPartial({
    tlsParams: tlsParameters(mesh.settings.meshMTLS),
    tlsCertificateSdsSecretConfigs: [localSecret("default")],
    alpnProtocols: [...alpn],
    validationContextType: {
      $case: "combinedValidationContext",
      value: {
        defaultValidationContext: {
          matchTypedSubjectAltNames: identities.map((identity) => ({
            sanType: SubjectAltNameMatcher_SanType.URI,
            matcher: { matchPattern: { $case: match, value: identity } },
          })),
        },
        validationContextSdsSecretConfig: localSecret("ROOTCA"),
      },
    },
  });
}

/** Towards a sidecar that must be one of the given identities. */
export function meshClientSocket(serverName: string, identities: readonly string[], mesh: MeshConfig): TransportSocket {
  const context = UpstreamTlsContext.fromPartial({
    commonTlsContext: meshContext([ALPN_MESH], { match: "exact", identities }, mesh),
    sni: serverName,
  });
  return tlsSocket(any(`${TLS}.UpstreamTlsContext`, UpstreamTlsContext, context));
}

/** For callers that have a certificate of the mesh, which is of its trust domains: roots may vouch for others too. */
export function meshServerSocket(alpn: readonly string[], mesh: MeshConfig): TransportSocket {
  const identities = [mesh.trustDomain, ...mesh.trustDomainAliases].map((domain) => `spiffe://${domain}/`);
  return serverSocketFor(alpn, { match: "prefix", identities }, mesh);
}

/** For callers that are one of these. */
export function meshEdgeSocket(
  alpn: readonly string[],
  identities: readonly string[],
  mesh: MeshConfig,
): TransportSocket {
  return serverSocketFor(alpn, { match: "exact", identities }, mesh);
}

function serverSocketFor(alpn: readonly string[], accepted: Accepted, mesh: MeshConfig): TransportSocket {
  const context = DownstreamTlsContext.fromPartial({
    commonTlsContext: meshContext(alpn, accepted, mesh),
    requireClientCertificate: true,
  });
  return tlsSocket(any(`${TLS}.DownstreamTlsContext`, DownstreamTlsContext, context));
}

export interface TlsSettings {
  readonly minProtocolVersion?: string;
  readonly maxProtocolVersion?: string;
  readonly cipherSuites?: readonly string[];
  readonly ecdhCurves?: readonly string[];
}

const VERSIONS: Readonly<Record<string, TlsParameters_TlsProtocol>> = {
  TLSV1_0: TlsParameters_TlsProtocol.TLSv1_0,
  TLSV1_1: TlsParameters_TlsProtocol.TLSv1_1,
  TLSV1_2: TlsParameters_TlsProtocol.TLSv1_2,
  TLSV1_3: TlsParameters_TlsProtocol.TLSv1_3,
};

/** Nothing below TLS 1.2 that isn't asked for. */
export function tlsParameters(settings: TlsSettings = {}): TlsParameters {
  const { minProtocolVersion, maxProtocolVersion, cipherSuites = [], ecdhCurves = [] } = settings;
  return TlsParameters.fromPartial({
    tlsMinimumProtocolVersion: VERSIONS[minProtocolVersion ?? ""] ?? TlsParameters_TlsProtocol.TLSv1_2,
    tlsMaximumProtocolVersion: VERSIONS[maxProtocolVersion ?? ""] ?? TlsParameters_TlsProtocol.TLS_AUTO,
    cipherSuites: [...new Set(cipherSuites.filter(isCipher))],
    ecdhCurves: [...new Set(ecdhCurves)],
  });
}

interface ForeignServer {
  readonly sni: string;
  /** One of them has to be in the certificate; none: any name will do. */
  readonly names: readonly string[];
  readonly engine: ProxyNode["engine"];
  readonly mesh: MeshConfig;
  /** The Secret that holds the certificates, for a client that is told of it. */
  readonly credential: string;
}

/** SIMPLE and MUTUAL: certificates from files or a Secret, the server's checked against the given or the system's roots. */
export function externalSocket(tls: ClientTls, server: ForeignServer): TransportSocket {
  const common = CommonTlsContext.fromPartial({});
  const { tlsDefaults } = server.mesh.settings;
  if (tlsDefaults !== undefined) common.tlsParams = tlsParameters(tlsDefaults);
  if (tls.mode === "MUTUAL") showCertificate(common, tls, server);
  if (tls.insecureSkipVerify !== true) {
    const value = serverValidation(tls, server);
    common.validationContextType =
      server.credential === ""
        ? { $case: "validationContext", value }
        : {
            $case: "combinedValidationContext",
            value: CommonTlsContext_CombinedCertificateValidationContext.fromPartial({
              defaultValidationContext: value,
              validationContextSdsSecretConfig: secretConfig(trustName(server.credential)),
            }),
          };
  }
  const context = UpstreamTlsContext.fromPartial({ sni: server.sni });
  context.commonTlsContext = common;
  return tlsSocket(any(`${TLS}.UpstreamTlsContext`, UpstreamTlsContext, context));
}

function showCertificate(common: CommonTlsContext, tls: ClientTls, { credential }: ForeignServer): void {
  if (credential !== "") common.tlsCertificateSdsSecretConfigs = [secretConfig(secretName(credential))];
  // A Secret that this client isn't told of: a file without a name would have the whole cluster refused.
  else if ((tls.credentialName ?? "") === "") {
    const files = { certificateChain: pemFile(tls.clientCertificate), privateKey: pemFile(tls.privateKey) };
    common.tlsCertificates = [TlsCertificate.fromPartial(files)];
  }
}

/** Where Envoy finds the system's roots: it has no name for them. */
const SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt";

function serverValidation(tls: ClientTls, { names, engine, credential }: ForeignServer): CertificateValidationContext {
  const system = engine === "weft" ? { systemRootCerts: {} } : { trustedCa: pemFile(SYSTEM_ROOTS) };
  const roots = credential === "" ? system : {};
  return CertificateValidationContext.fromPartial({
    ...((tls.caCertificates ?? "") === "" ? roots : { trustedCa: pemFile(tls.caCertificates) }),
    ...((tls.caCrl ?? "") === "" ? {} : { crl: pemFile(tls.caCrl) }),
    matchTypedSubjectAltNames: names.flatMap((name) =>
      [SubjectAltNameMatcher_SanType.DNS, SubjectAltNameMatcher_SanType.URI].map((sanType) => ({
        sanType,
        matcher: { matchPattern: { $case: "exact" as const, value: name } },
      })),
    ),
  });
}

export function pemFile(name: string | undefined) {
  return { specifier: { $case: "filename" as const, value: name ?? "" } };
}

export function tlsSocket(typedConfig: ReturnType<typeof any>): TransportSocket {
  return TransportSocket.fromPartial({
    name: "envoy.transport_sockets.tls",
    configType: { $case: "typedConfig", value: typedConfig },
  });
}
