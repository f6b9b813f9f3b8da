// TLS contexts: what to present, whom to trust, which names to accept. Certificates are named here and fetched by the socket layer.

import type { DataSource, TransportSocket } from "../../proto/gen/envoy/config/core/v3/base.ts";
import {
  type CertificateValidationContext,
  CertificateValidationContext_TrustChainVerification,
  SubjectAltNameMatcher_SanType,
  type TlsCertificate,
  TlsParameters_TlsProtocol,
} from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/common.ts";
import type { SdsSecretConfig } from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import {
  type CommonTlsContext,
  DownstreamTlsContext,
  UpstreamTlsContext,
} from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import { KNOWN_CIPHERS, type PemSource, type SanMatcher, type TlsConfig } from "../socket/tls-config.ts";
import { sourcedName } from "./config-source.ts";
import { type Field, fields } from "./field.ts";
import { compileString } from "./matcher.ts";
import { durationMs, inlineText } from "./value.ts";

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
    // Sessions are in tickets only, so that there are no stateful ones to disable.
    fields("commonTlsContext requireClientCertificate requireSni disableStatefulSessionResumption sessionTimeout"),
  );
  const config = compileCommon(context.commonTlsContext, field.at("commonTlsContext"), {
    requireClientCertificate: context.requireClientCertificate ?? false,
    requireServerName: context.requireSni ?? false,
    sessionTimeoutSeconds: Math.ceil((durationMs(context.sessionTimeout) ?? 0) / 1000),
    serverName: "",
    maxSessions: 0,
  });
  // As Envoy does: who expects a certain certificate expects one.
  const expects = config.sans.length > 0 || config.hashes.size > 0 || config.spkis.size > 0;
  return expects ? { ...config, requireClientCertificate: true } : config;
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
    requireServerName: false,
    sessionTimeoutSeconds: 0,
    serverName: context.sni,
    maxSessions: context.maxSessionKeys ?? 1,
  });
}

const NO_TRUST: Trust = {
  trust: undefined,
  systemRoots: false,
  sans: [],
  hashes: new Set(),
  spkis: new Set(),
  acceptUntrusted: false,
};

/** A file that a control plane names is read when the context is made, on the machine where this proxy runs. */
function textOrFile(source: DataSource | undefined, at: Field): PemSource | undefined {
  if (source?.specifier?.$case === "filename") return { file: source.specifier.value };
  const text = inlineText(source, at);
  return text === undefined ? undefined : { text };
}

const COMMON = fields("tlsParams tlsCertificates tlsCertificateSdsSecretConfigs validationContextType alpnProtocols");
const VALIDATION = fields(
  `trustedCa matchTypedSubjectAltNames matchSubjectAltNames crl trustChainVerification systemRootCerts watchedDirectory
  verifyCertificateSpki verifyCertificateHash`,
);

type Trust = Pick<TlsConfig, "trust" | "systemRoots" | "sans" | "hashes" | "spkis" | "acceptUntrusted">;

function compileCommon(
  common: CommonTlsContext | undefined,
  at: Field,
  own: Pick<
    TlsConfig,
    "requireClientCertificate" | "requireServerName" | "sessionTimeoutSeconds" | "serverName" | "maxSessions"
  >,
): TlsConfig {
  if (common !== undefined) at.only(common, COMMON);
  const [certificate, ...moreCertificates] = (common?.tlsCertificates ?? []).flatMap((one, index) =>
    compileCertificate(one, at.at("tlsCertificates").at(index)),
  );
  const watched = common?.tlsCertificates.map((one) => one.watchedDirectory?.path) ?? [];
  const trust = compileTrust(common, at);
  const params = common?.tlsParams;
  return {
    ...own,
    certificateName: secretName(
      common?.tlsCertificateSdsSecretConfigs[0],
      at.at("tlsCertificateSdsSecretConfigs").at(0),
    ),
    moreCertificateNames: (common?.tlsCertificateSdsSecretConfigs ?? []).slice(1).flatMap((one, index) => {
      return secretName(one, at.at("tlsCertificateSdsSecretConfigs").at(index + 1)) ?? [];
    }),
    secretWaits: secretWaits(common),
    certificate,
    moreCertificates,
    watchedFolders: [...watched, validationOf(common)?.watchedDirectory?.path].filter((path) => path !== undefined),
    ...trust,
    alpnProtocols: common?.alpnProtocols ?? [],
    minVersion: version(params?.tlsMinimumProtocolVersion) ?? "TLSv1.2",
    maxVersion: version(params?.tlsMaximumProtocolVersion) ?? "TLSv1.3",
    ciphers: compileCiphers(params?.cipherSuites ?? [], at.at("tlsParams").at("cipherSuites")),
    ecdhCurve: params?.ecdhCurves.join(":") ?? "",
    signatureAlgorithms: params?.signatureAlgorithms.join(":") ?? "",
  };
}

function compileCertificate(one: TlsCertificate, at: Field): readonly { chain: PemSource; key: PemSource }[] {
  at.only(one, fields("certificateChain privateKey watchedDirectory"));
  const chain = textOrFile(one.certificateChain, at.at("certificateChain"));
  const key = textOrFile(one.privateKey, at.at("privateKey"));
  return chain === undefined || key === undefined ? [] : [{ chain, key }];
}

/** Those of TLS 1.3 are not for the configuration to choose, as in Envoy; the runtime would drop them with a list without them. */
const TLS13_CIPHERS = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/** `[A|B]` are of equal rank to Envoy; here the first of them goes first. */
function compileCiphers(suites: readonly string[], at: Field): string {
  const names = suites.flatMap((suite) => suite.replace(/^\[|\]$/g, "").split("|"));
  for (const name of names) {
    const plain = name.replace(/^[-!+]/, "").toLowerCase();
    if (!KNOWN_CIPHERS.has(plain)) at.refuse(`${name} is not a cipher suite of this proxy`);
  }
  return names.length === 0 ? "" : [...TLS13_CIPHERS, ...names].join(":");
}

function validationOf(common: CommonTlsContext | undefined): CertificateValidationContext | undefined {
  const specifier = common?.validationContextType;
  if (specifier?.$case === "validationContext") return specifier.value;
  return specifier?.$case === "combinedValidationContext" ? specifier.value.defaultValidationContext : undefined;
}

const FETCH_TIMEOUT_MS = 15_000;

/** As Envoy: 15 s where nothing is said, for ever where it is 0. What is served beside the proxy comes before anything works. */
function secretWaits(common: CommonTlsContext | undefined): ReadonlyMap<string, number> {
  const validation = common?.validationContextType;
  const trust =
    validation?.$case === "combinedValidationContext"
      ? validation.value.validationContextSdsSecretConfig
      : validation?.$case === "validationContextSdsSecretConfig"
        ? validation.value
        : undefined;
  const named = [...(common?.tlsCertificateSdsSecretConfigs ?? []), ...(trust === undefined ? [] : [trust])];
  return new Map(
    named.flatMap(({ name, sdsConfig }) => {
      const timeoutMs = durationMs(sdsConfig?.initialFetchTimeout) ?? FETCH_TIMEOUT_MS;
      return sdsConfig?.configSourceSpecifier?.$case !== "ads" || timeoutMs === 0 ? [] : [[name, timeoutMs] as const];
    }),
  );
}

function secretName(secret: SdsSecretConfig | undefined, at: Field): string | undefined {
  return secret === undefined ? undefined : sourcedName(secret.name, secret.sdsConfig, at.at("sdsConfig"));
}

function compileTrust(common: CommonTlsContext | undefined, at: Field): Trust & Pick<TlsConfig, "trustName"> {
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

function compileValidation(context: CertificateValidationContext, at: Field): Trust {
  at.only(context, VALIDATION);
  const bundle = textOrFile(context.trustedCa, at.at("trustedCa"));
  const crl = textOrFile(context.crl, at.at("crl"));
  const typed = context.matchTypedSubjectAltNames.map((one, index): SanMatcher => {
    const field = at.at("matchTypedSubjectAltNames").at(index);
    field.only(one, fields("sanType matcher"));
    if (one.sanType === SubjectAltNameMatcher_SanType.OTHER_NAME)
      field.at("sanType").refuse("names of other kinds (OTHER_NAME) are not read");
    const pattern = one.matcher?.matchPattern;
    if (one.sanType === SubjectAltNameMatcher_SanType.DNS && pattern?.$case === "exact") {
      const wanted = pattern.value.toLowerCase();
      return { type: "DNS", matches: (name) => coversName(name.toLowerCase(), wanted) };
    }
    return { type: sanType(one.sanType), matches: compileString(one.matcher, field.at("matcher")) };
  });
  const untyped = context.matchSubjectAltNames.map((one, index): SanMatcher => {
    return { type: "any", matches: compileString(one, at.at("matchSubjectAltNames").at(index)) };
  });
  return {
    trust: bundle === undefined ? undefined : { bundle, crl },
    systemRoots: context.systemRootCerts !== undefined,
    sans: [...typed, ...untyped],
    hashes: new Set(context.verifyCertificateHash.map((hash) => hash.replaceAll(":", "").toLowerCase())),
    spkis: new Set(context.verifyCertificateSpki),
    acceptUntrusted:
      context.trustChainVerification === CertificateValidationContext_TrustChainVerification.ACCEPT_UNTRUSTED,
  };
}

/** `*.example.com` in a certificate is for every name with one label more, as in Envoy. */
function coversName(certified: string, wanted: string): boolean {
  if (certified === wanted) return true;
  return (
    certified.startsWith("*.") && wanted.indexOf(".") > 0 && wanted.slice(wanted.indexOf(".")) === certified.slice(1)
  );
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
