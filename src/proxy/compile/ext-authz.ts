// The external authorizer: whom to ask, what to tell, and what to take of the answer.

import type { HeaderValue } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { GrpcService } from "../../proto/gen/envoy/config/core/v3/grpc_service.ts";
import type {
  AuthorizationRequest,
  BufferSettings,
  ExtAuthz,
  ExtAuthzPerRoute,
  HttpService,
} from "../../proto/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz.ts";
import type { ListStringMatcher } from "../../proto/gen/envoy/type/matcher/v3/string.ts";
import { AUTHZ_BODY_BYTES_MAX } from "../limits.ts";
import { type Field, fields } from "./field.ts";
import { compileMetadata, compileString, type MetadataPredicate, type StringPredicate } from "./matcher.ts";
import { durationMs, runtimeFraction } from "./value.ts";

export interface HttpAuthorizer {
  readonly kind: "http";
  readonly cluster: string;
  readonly authority: string;
  readonly timeoutMs: number;
  readonly pathPrefix: string;
  readonly pathOverride: string;
  readonly headersToAdd: readonly HeaderPair[];
  readonly toUpstream: StringPredicate;
  readonly toUpstreamAppended: StringPredicate;
  /** Undefined: all of them. */
  readonly toDenied: StringPredicate | undefined;
  readonly toClient: StringPredicate;
  readonly toMetadata: StringPredicate;
}

export interface GrpcAuthorizer {
  readonly kind: "grpc";
  readonly cluster: string;
  readonly authority: string;
  readonly timeoutMs: number;
  readonly metadata: readonly HeaderPair[];
}

export interface HeaderPair {
  readonly name: string;
  readonly value: string;
}

export interface BodyConfig {
  readonly bytesMax: number;
  readonly partial: boolean;
  readonly asBytes: boolean;
}

export interface ExtAuthzConfig {
  readonly kind: "ext_authz";
  readonly authorizer: HttpAuthorizer | GrpcAuthorizer;
  readonly failureModeAllow: boolean;
  readonly failureModeAllowHeader: boolean;
  readonly body: BodyConfig | undefined;
  readonly clearRoute: boolean;
  readonly statusOnError: number;
  /** Which request headers are told; undefined: all (gRPC), or those that Envoy always tells (HTTP). */
  readonly allowedHeaders: StringPredicate | undefined;
  readonly disallowedHeaders: StringPredicate;
  readonly metadataNamespaces: readonly string[];
  readonly routeMetadataNamespaces: readonly string[];
  readonly enabledShare: number;
  readonly enabledMetadata: MetadataPredicate | undefined;
  readonly denyAtDisable: boolean;
  readonly peerCertificate: boolean;
  readonly tlsSession: boolean;
  readonly statPrefix: string;
}

export interface ExtAuthzOverride {
  readonly kind: "ext_authz_route";
  readonly contextExtensions: Readonly<Record<string, string>>;
  readonly withoutBody: boolean;
  readonly body: BodyConfig | undefined;
}

const HONOURED =
  fields(`services transportApiVersion failureModeAllow failureModeAllowHeaderAdd withRequestBody clearRouteCache statusOnError
  validateMutations metadataContextNamespaces routeMetadataContextNamespaces filterEnabled filterEnabledMetadata denyAtDisable
  includePeerCertificate statPrefix allowedHeaders disallowedHeaders includeTlsSession`);

const NEVER: StringPredicate = () => false;

export function compileExtAuthz(message: ExtAuthz, at: Field): ExtAuthzConfig | undefined {
  at.only(message, HONOURED);
  if (message.transportApiVersion === 0 || message.transportApiVersion === 1) {
    at.at("transportApiVersion").refuse("only version V3 is spoken");
  }
  if (message.chargeClusterResponseStats === false) {
    at.at("chargeClusterResponseStats").refuse("the cluster's counters can't be left out");
  }
  const authorizer = compileAuthorizer(message, at);
  if (authorizer === undefined) return undefined;
  const { services } = message;
  const asked = services?.$case === "httpService" ? services.value.authorizationRequest : undefined;
  return {
    kind: "ext_authz",
    authorizer,
    failureModeAllow: message.failureModeAllow,
    failureModeAllowHeader: message.failureModeAllowHeaderAdd,
    body: compileBody(message.withRequestBody, at.at("withRequestBody")),
    clearRoute: message.clearRouteCache,
    statusOnError: message.statusOnError?.code || 403,
    allowedHeaders: allowedHeaders(message, asked, at),
    disallowedHeaders: compileList(message.disallowedHeaders, at.at("disallowedHeaders")) ?? NEVER,
    metadataNamespaces: message.metadataContextNamespaces,
    routeMetadataNamespaces: message.routeMetadataContextNamespaces,
    enabledShare: runtimeFraction(message.filterEnabled, 1, at.at("filterEnabled")),
    enabledMetadata:
      message.filterEnabledMetadata === undefined
        ? undefined
        : compileMetadata(message.filterEnabledMetadata, at.at("filterEnabledMetadata")),
    denyAtDisable: message.denyAtDisable?.defaultValue ?? false,
    peerCertificate: message.includePeerCertificate,
    tlsSession: message.includeTlsSession,
    statPrefix: message.statPrefix,
  };
}

export function compileExtAuthzOverride(
  message: ExtAuthzPerRoute,
  at: Field,
): ExtAuthzOverride | { readonly kind: "disabled" } {
  const { override } = message;
  if (override?.$case !== "checkSettings") return { kind: "disabled" };
  const field = at.at("checkSettings");
  field.only(override.value, fields("contextExtensions disableRequestBodyBuffering withRequestBody"));
  return {
    kind: "ext_authz_route",
    contextExtensions: override.value.contextExtensions,
    withoutBody: override.value.disableRequestBodyBuffering,
    body: compileBody(override.value.withRequestBody, field.at("withRequestBody")),
  };
}

function allowedHeaders(
  message: ExtAuthz,
  asked: AuthorizationRequest | undefined,
  at: Field,
): StringPredicate | undefined {
  if (message.allowedHeaders !== undefined) return compileList(message.allowedHeaders, at.at("allowedHeaders"));
  const field = at.at("httpService").at("authorizationRequest").at("allowedHeaders");
  return compileList(asked?.allowedHeaders, field);
}

function compileBody(settings: BufferSettings | undefined, at: Field): BodyConfig | undefined {
  if (settings === undefined) return undefined;
  const bytesMax = settings.maxRequestBytes;
  if (bytesMax === 0 || bytesMax > AUTHZ_BODY_BYTES_MAX) {
    at.at("maxRequestBytes").refuse(`between 1 and ${AUTHZ_BODY_BYTES_MAX}`);
  }
  return { bytesMax, partial: settings.allowPartialMessage, asBytes: settings.packAsBytes };
}

function compileAuthorizer(message: ExtAuthz, at: Field): HttpAuthorizer | GrpcAuthorizer | undefined {
  switch (message.services?.$case) {
    case undefined:
      at.refuse("an authorizer needs http_service or grpc_service");
      return undefined;
    case "httpService":
      return compileHttp(message.services.value, at.at("httpService"));
    case "grpcService":
      return compileGrpc(message.services.value, at.at("grpcService"));
  }
}

function compileHttp(service: HttpService, at: Field): HttpAuthorizer | undefined {
  at.only(service, fields("serverUri pathPrefix pathOverride authorizationRequest authorizationResponse"));
  const uri = /^(?:https?:\/\/)?([^/?#]+)/.exec(service.serverUri?.uri ?? "");
  const cluster = service.serverUri?.httpUpstreamType?.value;
  if (uri === null || cluster === undefined) {
    at.at("serverUri").refuse("a server_uri needs a uri and a cluster");
    return undefined;
  }
  const response = service.authorizationResponse;
  const field = at.at("authorizationResponse");
  return {
    kind: "http",
    cluster,
    authority: uri[1] ?? "",
    timeoutMs: durationMs(service.serverUri?.timeout) ?? 200,
    pathPrefix: service.pathPrefix,
    pathOverride: service.pathOverride,
    headersToAdd: compilePairs(service.authorizationRequest?.headersToAdd ?? []),
    toUpstream: compileList(response?.allowedUpstreamHeaders, field.at("allowedUpstreamHeaders")) ?? NEVER,
    toUpstreamAppended:
      compileList(response?.allowedUpstreamHeadersToAppend, field.at("allowedUpstreamHeadersToAppend")) ?? NEVER,
    toDenied: compileList(response?.allowedClientHeaders, field.at("allowedClientHeaders")),
    toClient: compileList(response?.allowedClientHeadersOnSuccess, field.at("allowedClientHeadersOnSuccess")) ?? NEVER,
    toMetadata: compileList(response?.dynamicMetadataFromHeaders, field.at("dynamicMetadataFromHeaders")) ?? NEVER,
  };
}

function compileGrpc(service: GrpcService, at: Field): GrpcAuthorizer | undefined {
  at.only(service, fields("targetSpecifier timeout initialMetadata"));
  const target = service.targetSpecifier;
  if (target?.$case !== "envoyGrpc") {
    at.refuse("an envoy_grpc is needed");
    return undefined;
  }
  at.at("envoyGrpc").only(target.value, fields("clusterName authority skipEnvoyHeaders"));
  return {
    kind: "grpc",
    cluster: target.value.clusterName,
    authority: target.value.authority || target.value.clusterName,
    timeoutMs: durationMs(service.timeout) ?? 200,
    metadata: compilePairs(service.initialMetadata),
  };
}

function compilePairs(headers: readonly HeaderValue[]): readonly HeaderPair[] {
  return headers.map(({ key, value, rawValue }) => ({
    name: key.toLowerCase(),
    value: rawValue.length > 0 ? rawValue.toString("latin1") : value,
  }));
}

/** Undefined where there is no list. */
function compileList(list: ListStringMatcher | undefined, at: Field): StringPredicate | undefined {
  if (list === undefined) return undefined;
  const matchers = list.patterns.map((one, index) => compileString(one, at.at("patterns").at(index)));
  return (name) => matchers.some((matches) => matches(name));
}
