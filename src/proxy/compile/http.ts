// An HTTP connection manager to what one connection needs: routes, filters, limits, and which headers it sets.

import { HttpProtocolOptions_HeadersWithUnderscoresAction } from "../../proto/gen/envoy/config/core/v3/protocol.ts";
import {
  type HttpConnectionManager,
  HttpConnectionManager_CodecType,
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManager_ServerHeaderTransformation,
} from "../../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { HEAD_BYTES_MAX, HEADERS_COUNT_MAX, LINGER_MS } from "../limits.ts";
import { type AccessLogConfig, compileAccessLogs } from "./access-log.ts";
import { sourcedName } from "./config-source.ts";
import { compileEarlyMutations, compileIpDetectors, type IpDetector } from "./edge.ts";
import { type Field, fields } from "./field.ts";
import { compileFilters, type NamedFilter } from "./http-filter.ts";
import { compileLocalReply, type ReplyConfig } from "./local-reply.ts";
import type { HeaderMutation } from "./mutation.ts";
import { compileRoutes, type RouteTable } from "./route.ts";
import { compileTracing, type TracingConfig } from "./tracing.ts";
import { durationMs, type IpRange, ipRange } from "./value.ts";

export type RouteSource =
  | { readonly kind: "inline"; readonly table: RouteTable }
  | { readonly kind: "rds"; readonly name: string };

export type ClientCertForwarding =
  | "sanitize"
  | "forward-only"
  | "append-forward"
  | "sanitize-set"
  | "always-forward-only";

export interface HttpConfig {
  readonly kind: "http";
  readonly statPrefix: string;
  readonly routes: RouteSource;
  readonly filters: readonly NamedFilter[];
  readonly suppressEnvoyHeaders: boolean;
  readonly serverName: string;
  readonly serverHeader: "overwrite" | "append-if-absent" | "pass-through";
  readonly headBytesMax: number;
  readonly headersCountMax: number;
  readonly acceptHttp10: boolean;
  readonly allowCustomMethods: boolean;
  readonly enableTrailers: boolean;
  readonly idleTimeoutMs: number;
  readonly streamIdleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  readonly maxStreamDurationMs: number;
  readonly maxConnectionDurationMs: number;
  readonly maxRequestsPerConnection: number;
  readonly accessLogs: readonly AccessLogConfig[];
  readonly useRemoteAddress: boolean;
  readonly trustedHops: number;
  readonly skipXffAppend: boolean;
  readonly via: string;
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly requestIdInResponse: boolean;
  readonly clientCert: ClientCertForwarding;
  readonly certDetails: {
    readonly subject: boolean;
    readonly cert: boolean;
    readonly chain: boolean;
    readonly dns: boolean;
    readonly uri: boolean;
  };
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: "keep" | "reject" | "unescape-redirect" | "unescape-forward";
  readonly stripPort: "none" | "matching" | "any";
  readonly upgrades: ReadonlySet<string>;
  /** Callers whose x-envoy-… headers are taken at their word. Nobody, unless the configuration names ranges. */
  readonly internalRanges: readonly IpRange[];
  /** Header names with underscores, which some applications can't tell from dashes. */
  readonly underscores: "allow" | "reject" | "drop";
  readonly localReplies: ReplyConfig | undefined;
  /** `100 Continue` is the host's to say. */
  readonly proxyContinue: boolean;
  readonly allowAbsoluteUrl: boolean;
  /** What a client that speaks HTTP/1.0 and names no host means; empty: it is refused. */
  readonly defaultHostForHttp10: string;
  /** Header names of responses as `Content-Type`. */
  readonly properCase: boolean;
  readonly stripTrailingHostDot: boolean;
  /** `http` or `https` whatever came; empty: as it came. */
  readonly schemeToOverwrite: string;
  readonly appendForwardedPort: boolean;
  readonly ipDetectors: readonly IpDetector[];
  readonly earlyMutations: readonly HeaderMutation[];
  /** How long a connection that is being closed is read on. */
  readonly delayedCloseMs: number;
  /** Besides its end, a request's beginning is logged. */
  readonly logsBeginnings: boolean;
  readonly tracing: TracingConfig | undefined;
}

/**
 * Accepted without effect: http2_protocol_options and drain_timeout, which HTTP/1.1 has nothing to do with.
 */
const HONOURED =
  fields(`codecType statPrefix routeSpecifier httpFilters commonHttpProtocolOptions httpProtocolOptions http2ProtocolOptions
  serverName serverHeaderTransformation maxRequestHeadersKb streamIdleTimeout requestTimeout requestHeadersTimeout drainTimeout
  delayedCloseTimeout accessLog useRemoteAddress xffNumTrustedHops skipXffAppend via generateRequestId preserveExternalRequestId
  alwaysSetRequestIdInResponse forwardClientCertDetails setCurrentClientCertDetails proxy100Continue upgradeConfigs normalizePath
  mergeSlashes pathWithEscapedSlashesAction requestIdExtension stripMatchingHostPort stripPortMode stripTrailingHostDot
  accessLogOptions flushAccessLogOnNewRequest internalAddressConfig localReplyConfig schemeHeaderTransformation
  appendXForwardedPort originalIpDetectionExtensions earlyHeaderMutationExtensions tracing`);
const COMMON = fields(
  "idleTimeout maxConnectionDuration maxHeadersCount maxStreamDuration maxRequestsPerConnection headersWithUnderscoresAction",
);
const HTTP1 = fields(`allowAbsoluteUrl acceptHttp10 defaultHostForHttp10 headerKeyFormat enableTrailers useBalsaParser
  allowCustomMethods`);
const UUID = "type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig";

export function compileHttp(hcm: HttpConnectionManager, at: Field): HttpConfig {
  at.only(hcm, HONOURED);
  const { codecType } = hcm;
  if (codecType === HttpConnectionManager_CodecType.HTTP2 || codecType === HttpConnectionManager_CodecType.HTTP3) {
    at.at("codecType").refuse("HTTP/2 and HTTP/3 are not served yet; carry them as TCP");
  }
  const common = hcm.commonHttpProtocolOptions;
  if (common !== undefined) at.at("commonHttpProtocolOptions").only(common, COMMON);
  const http1 = hcm.httpProtocolOptions;
  if (http1 !== undefined) at.at("httpProtocolOptions").only(http1, HTTP1);
  refuseWithin(hcm, at);
  const filters = compileFilters(hcm.httpFilters, at.at("httpFilters"));
  const router = filters.at(-1)?.config;
  return {
    kind: "http",
    statPrefix: hcm.statPrefix,
    routes: compileSource(hcm, at),
    filters,
    suppressEnvoyHeaders: router?.kind === "router" && router.suppressEnvoyHeaders,
    serverName: hcm.serverName === "" ? "envoy" : hcm.serverName,
    serverHeader: serverHeader(hcm),
    ...limitsOf(hcm),
    accessLogs: compileAccessLogs(hcm.accessLog, at.at("accessLog")),
    useRemoteAddress: hcm.useRemoteAddress ?? false,
    trustedHops: hcm.xffNumTrustedHops,
    skipXffAppend: hcm.skipXffAppend,
    via: hcm.via,
    generateRequestId: hcm.generateRequestId ?? true,
    preserveExternalRequestId: hcm.preserveExternalRequestId,
    requestIdInResponse: hcm.alwaysSetRequestIdInResponse,
    clientCert: clientCert(hcm),
    certDetails: certDetails(hcm),
    normalizePath: hcm.normalizePath ?? false,
    mergeSlashes: hcm.mergeSlashes,
    escapedSlashes: escapedSlashes(hcm),
    stripPort: hcm.stripPortMode?.value === true ? "any" : hcm.stripMatchingHostPort ? "matching" : "none",
    internalRanges: (hcm.internalAddressConfig?.cidrRanges ?? []).map((range, index) =>
      ipRange(range, at.at("internalAddressConfig").at("cidrRanges").at(index)),
    ),
    underscores: underscores(common),
    localReplies: compileLocalReply(hcm.localReplyConfig, at.at("localReplyConfig")),
    proxyContinue: hcm.proxy100Continue,
    allowAbsoluteUrl: http1?.allowAbsoluteUrl ?? true,
    properCase: http1?.headerKeyFormat?.headerFormat?.$case === "properCaseWords",
    stripTrailingHostDot: hcm.stripTrailingHostDot,
    schemeToOverwrite: hcm.schemeHeaderTransformation?.transformation?.value ?? "",
    appendForwardedPort: hcm.appendXForwardedPort,
    ipDetectors: compileIpDetectors(hcm, at),
    earlyMutations: compileEarlyMutations(hcm.earlyHeaderMutationExtensions, at.at("earlyHeaderMutationExtensions")),
    delayedCloseMs: durationMs(hcm.delayedCloseTimeout) ?? LINGER_MS,
    logsBeginnings: hcm.flushAccessLogOnNewRequest || (hcm.accessLogOptions?.flushAccessLogOnNewRequest ?? false),
    tracing: compileTracing(hcm, router?.kind === "router" && router.startsChildSpan, at),
    upgrades: new Set(
      hcm.upgradeConfigs.filter((one) => one.enabled ?? true).map((one) => one.upgradeType.toLowerCase()),
    ),
  };
}

function underscores(common: HttpConnectionManager["commonHttpProtocolOptions"]): HttpConfig["underscores"] {
  switch (common?.headersWithUnderscoresAction) {
    case HttpProtocolOptions_HeadersWithUnderscoresAction.REJECT_REQUEST:
      return "reject";
    case HttpProtocolOptions_HeadersWithUnderscoresAction.DROP_HEADER:
      return "drop";
    default:
      return "allow";
  }
}

/** Messages within it that are honoured in part. */
function refuseWithin(hcm: HttpConnectionManager, at: Field): void {
  const { accessLogOptions, internalAddressConfig, schemeHeaderTransformation, requestIdExtension } = hcm;
  if (accessLogOptions !== undefined)
    at.at("accessLogOptions").only(accessLogOptions, fields("flushAccessLogOnNewRequest"));
  if (internalAddressConfig !== undefined)
    at.at("internalAddressConfig").only(internalAddressConfig, fields("cidrRanges"));
  if (schemeHeaderTransformation !== undefined)
    at.at("schemeHeaderTransformation").only(schemeHeaderTransformation, fields("transformation"));
  const id = requestIdExtension?.typedConfig?.typeUrl;
  if (id !== undefined && id !== UUID) at.at("requestIdExtension").refuse(`request ids of ${id} are not built in`);
  const format = hcm.httpProtocolOptions?.headerKeyFormat?.headerFormat;
  if (format?.$case === "statefulFormatter")
    at.at("httpProtocolOptions").at("headerKeyFormat").refuse("names are written in lower case or in proper case only");
  for (const [index, one] of hcm.upgradeConfigs.entries())
    at.at("upgradeConfigs").at(index).only(one, fields("upgradeType enabled"));
}

type Limits = Pick<
  HttpConfig,
  | "headBytesMax"
  | "headersCountMax"
  | "acceptHttp10"
  | "allowCustomMethods"
  | "defaultHostForHttp10"
  | "enableTrailers"
  | "idleTimeoutMs"
  | "streamIdleTimeoutMs"
  | "requestTimeoutMs"
  | "requestHeadersTimeoutMs"
  | "maxStreamDurationMs"
  | "maxConnectionDurationMs"
  | "maxRequestsPerConnection"
>;

function limitsOf(hcm: HttpConnectionManager): Limits {
  const common = hcm.commonHttpProtocolOptions;
  const http1 = hcm.httpProtocolOptions;
  return {
    headBytesMax: hcm.maxRequestHeadersKb === undefined ? HEAD_BYTES_MAX : hcm.maxRequestHeadersKb * 1024,
    headersCountMax: common?.maxHeadersCount ?? HEADERS_COUNT_MAX,
    acceptHttp10: http1?.acceptHttp10 ?? false,
    defaultHostForHttp10: http1?.defaultHostForHttp10 ?? "",
    allowCustomMethods: http1?.allowCustomMethods ?? false,
    enableTrailers: http1?.enableTrailers ?? false,
    idleTimeoutMs: durationMs(common?.idleTimeout) ?? 3_600_000,
    streamIdleTimeoutMs: durationMs(hcm.streamIdleTimeout) ?? 300_000,
    requestTimeoutMs: durationMs(hcm.requestTimeout) ?? 0,
    requestHeadersTimeoutMs: durationMs(hcm.requestHeadersTimeout) ?? 0,
    maxStreamDurationMs: durationMs(common?.maxStreamDuration) ?? 0,
    maxConnectionDurationMs: durationMs(common?.maxConnectionDuration) ?? 0,
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? 0,
  };
}

function certDetails(hcm: HttpConnectionManager): HttpConfig["certDetails"] {
  const details = hcm.setCurrentClientCertDetails;
  return {
    subject: details?.subject ?? false,
    cert: details?.cert ?? false,
    chain: details?.chain ?? false,
    dns: details?.dns ?? false,
    uri: details?.uri ?? false,
  };
}

function compileSource(hcm: HttpConnectionManager, at: Field): RouteSource {
  const specifier = hcm.routeSpecifier;
  switch (specifier?.$case) {
    case "rds":
      return {
        kind: "rds",
        name: sourcedName(
          specifier.value.routeConfigName,
          specifier.value.configSource,
          at.at("rds").at("configSource"),
        ),
      };
    case "routeConfig": {
      const field = at.at("routeConfig").as("type.googleapis.com/envoy.config.route.v3.RouteConfiguration");
      return { kind: "inline", table: compileRoutes(specifier.value, field) };
    }
    default:
      at.refuse("a connection manager needs rds or route_config");
      return { kind: "rds", name: "" };
  }
}

function serverHeader(hcm: HttpConnectionManager): HttpConfig["serverHeader"] {
  switch (hcm.serverHeaderTransformation) {
    case HttpConnectionManager_ServerHeaderTransformation.APPEND_IF_ABSENT:
      return "append-if-absent";
    case HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH:
      return "pass-through";
    default:
      return "overwrite";
  }
}

function clientCert(hcm: HttpConnectionManager): ClientCertForwarding {
  switch (hcm.forwardClientCertDetails) {
    case HttpConnectionManager_ForwardClientCertDetails.FORWARD_ONLY:
      return "forward-only";
    case HttpConnectionManager_ForwardClientCertDetails.APPEND_FORWARD:
      return "append-forward";
    case HttpConnectionManager_ForwardClientCertDetails.SANITIZE_SET:
      return "sanitize-set";
    case HttpConnectionManager_ForwardClientCertDetails.ALWAYS_FORWARD_ONLY:
      return "always-forward-only";
    default:
      return "sanitize";
  }
}

function escapedSlashes(hcm: HttpConnectionManager): HttpConfig["escapedSlashes"] {
  switch (hcm.pathWithEscapedSlashesAction) {
    case HttpConnectionManager_PathWithEscapedSlashesAction.REJECT_REQUEST:
      return "reject";
    case HttpConnectionManager_PathWithEscapedSlashesAction.UNESCAPE_AND_REDIRECT:
      return "unescape-redirect";
    case HttpConnectionManager_PathWithEscapedSlashesAction.UNESCAPE_AND_FORWARD:
      return "unescape-forward";
    default:
      return "keep";
  }
}
