// TLS contexts: what to present, whom to trust, which names to accept. Certificates are named here and fetched by the socket layer.

import type { DataSource, TransportSocket } from "../../proto/gen/envoy/config/core/v3/base.ts";
import {
  type CertificateValidationContext,
  SubjectAltNameMatcher_SanType,
  TlsParameters_TlsProtocol,
} from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/common.ts";
import type { SdsSecretConfig } from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import {
  type CommonTlsContext,
  DownstreamTlsContext,
  UpstreamTlsContext,
} from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import type { PemSource, SanMatcher, TlsConfig } from "../socket/tls-config.ts";
import { sourcedName } from "./config-source.ts";
import { type Field, fields } from "./field.ts";
import { compileString } from "./matcher.ts";
import { inlineText } from "./value.ts";

const DOWNSTREAM_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
const UPSTREAM_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const RAW_BUFFER = "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";

export function compileDownstreamTls(socket: TransportSocket | undefined, at: Field): TlsConfig | undefined {
  const any = socket?.configType?.value;
  if (any === undefined || any.typeUrl === RAW_BUFFER) return undefined;
  if (any.typeUrl !== DOWNSTREAM_TLS) {
    at.refuse(`transport socket ${any.typeUrl} is not built in`);
    return undefined;
  }
  const context = DownstreamTlsContext.decode(any.value);
  const field = at.at("typedConfig").as(DOWNSTREAM_TLS);
  field.only(
    context,
    fields("commonTlsContext requireClientCertificate disableStatefulSessionResumption sessionTimeout"),
  );
  return compileCommon(context.commonTlsContext, field.at("commonTlsContext"), {
    requireClientCertificate: context.requireClientCertificate ?? false,
    serverName: "",
    maxSessions: 0,
  });
}

export function compileUpstreamTls(socket: TransportSocket | undefined, at: Field): TlsConfig | undefined {
  const any = socket?.configType?.value;
  if (any === undefined || any.typeUrl === RAW_BUFFER) return undefined;
  if (any.typeUrl !== UPSTREAM_TLS) {
    at.refuse(`transport socket ${any.typeUrl} is not built in`);
    return undefined;
  }
  const context = UpstreamTlsContext.decode(any.value);
  const field = at.at("typedConfig").as(UPSTREAM_TLS);
  field.only(context, fields("commonTlsContext sni maxSessionKeys enforceRsaKeyUsage"));
  return compileCommon(context.commonTlsContext, field.at("commonTlsContext"), {
    requireClientCertificate: false,
    serverName: context.sni,
    maxSessions: context.maxSessionKeys ?? 1,
  });
}

const NO_TRUST = { trust: undefined, systemRoots: false, sans: [] } as const;

/** A file that a control plane names is read when the context is made, on the machine where this proxy runs. */
function textOrFile(source: DataSource | undefined, at: Field): PemSource | undefined {
  if (source?.specifier?.$case === "filename") return { file: source.specifier.value };
  const text = inlineText(source, at);
  return text === undefined ? undefined : { text };
}

const COMMON = fields("tlsParams tlsCertificates tlsCertificateSdsSecretConfigs validationContextType alpnProtocols");
const VALIDATION = fields(
  "trustedCa matchTypedSubjectAltNames matchSubjectAltNames crl trustChainVerification systemRootCerts watchedDirectory",
);

function compileCommon(
  common: CommonTlsContext | undefined,
  at: Field,
  own: Pick<TlsConfig, "requireClientCertificate" | "serverName" | "maxSessions">,
): TlsConfig {
  if (common !== undefined) at.only(common, COMMON);
  const inline = common?.tlsCertificates[0];
  const first = at.at("tlsCertificates").at(0);
  const chain = textOrFile(inline?.certificateChain, first.at("certificateChain"));
  const key = textOrFile(inline?.privateKey, first.at("privateKey"));
  const trust = compileTrust(common, at);
  const params = common?.tlsParams;
  return {
    ...own,
    certificateName: secretName(
      common?.tlsCertificateSdsSecretConfigs[0],
      at.at("tlsCertificateSdsSecretConfigs").at(0),
    ),
    certificate: chain === undefined || key === undefined ? undefined : { chain, key },
    watchedFolders: [inline?.watchedDirectory?.path, validationOf(common)?.watchedDirectory?.path].filter(
      (path) => path !== undefined,
    ),
    ...trust,
    alpnProtocols: common?.alpnProtocols ?? [],
    minVersion: version(params?.tlsMinimumProtocolVersion) ?? "TLSv1.2",
    maxVersion: version(params?.tlsMaximumProtocolVersion) ?? "TLSv1.3",
    ciphers: params?.cipherSuites.map((suite) => suite.replace(/^\[|\]$/g, "").replaceAll("|", ":")).join(":") ?? "",
    ecdhCurve: params?.ecdhCurves.join(":") ?? "",
  };
}

function validationOf(common: CommonTlsContext | undefined): CertificateValidationContext | undefined {
  const specifier = common?.validationContextType;
  if (specifier?.$case === "validationContext") return specifier.value;
  return specifier?.$case === "combinedValidationContext" ? specifier.value.defaultValidationContext : undefined;
}

function secretName(secret: SdsSecretConfig | undefined, at: Field): string | undefined {
  return secret === undefined ? undefined : sourcedName(secret.name, secret.sdsConfig, at.at("sdsConfig"));
}

function compileTrust(
  common: CommonTlsContext | undefined,
  at: Field,
): Pick<TlsConfig, "trustName" | "trust" | "systemRoots" | "sans"> {
  const specifier = common?.validationContextType;
  if (specifier === undefined) return { trustName: undefined, ...NO_TRUST };
  switch (specifier.$case) {
    case "validationContextSdsSecretConfig":
      return { ...NO_TRUST, trustName: secretName(specifier.value, at.at("validationContextSdsSecretConfig")) };
    case "validationContext":
      return { trustName: undefined, ...compileValidation(specifier.value, at.at("validationContext")) };
    case "combinedValidationContext": {
      const { defaultValidationContext, validationContextSdsSecretConfig } = specifier.value;
      const field = at.at("combinedValidationContext").at("defaultValidationContext");
      const own =
        defaultValidationContext === undefined ? NO_TRUST : compileValidation(defaultValidationContext, field);
      const sds = at.at("combinedValidationContext").at("validationContextSdsSecretConfig");
      return { trustName: secretName(validationContextSdsSecretConfig, sds), ...own };
    }
    default:
      at.at(specifier.$case).refuse("certificate providers are not built in");
      return { trustName: undefined, ...NO_TRUST };
  }
}

function compileValidation(
  context: CertificateValidationContext,
  at: Field,
): Pick<TlsConfig, "trust" | "systemRoots" | "sans"> {
  at.only(context, VALIDATION);
  const bundle = textOrFile(context.trustedCa, at.at("trustedCa"));
  const crl = textOrFile(context.crl, at.at("crl"));
  const typed = context.matchTypedSubjectAltNames.map((one, index): SanMatcher => {
    const field = at.at("matchTypedSubjectAltNames").at(index);
    return { type: sanType(one.sanType), matches: compileString(one.matcher, field.at("matcher")) };
  });
  const untyped = context.matchSubjectAltNames.map((one, index): SanMatcher => {
    return { type: "any", matches: compileString(one, at.at("matchSubjectAltNames").at(index)) };
  });
  return {
    trust: bundle === undefined ? undefined : { bundle, crl },
    systemRoots: context.systemRootCerts !== undefined,
    sans: [...typed, ...untyped],
  };
}

function sanType(type: SubjectAltNameMatcher_SanType): SanMatcher["type"] {
  switch (type) {
    case SubjectAltNameMatcher_SanType.DNS:
      return "DNS";
    case SubjectAltNameMatcher_SanType.URI:
      return "URI";
    case SubjectAltNameMatcher_SanType.IP_ADDRESS:
      return "IP Address";
    case SubjectAltNameMatcher_SanType.EMAIL:
      return "email";
    default:
      return "any";
  }
}

function version(protocol: TlsParameters_TlsProtocol | undefined): TlsConfig["minVersion"] | undefined {
  switch (protocol) {
    case TlsParameters_TlsProtocol.TLSv1_0:
      return "TLSv1";
    case TlsParameters_TlsProtocol.TLSv1_1:
      return "TLSv1.1";
    case TlsParameters_TlsProtocol.TLSv1_2:
      return "TLSv1.2";
    case TlsParameters_TlsProtocol.TLSv1_3:
      return "TLSv1.3";
    default:
      return undefined;
  }
}
