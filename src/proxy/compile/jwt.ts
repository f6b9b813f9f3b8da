// JWT authentication: who issues tokens, where they are in a request, which requests need which.

import type { DataSource } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type {
  JwtAuthentication,
  JwtHeader,
  JwtProvider,
  JwtRequirement,
  PerRouteConfig,
  RemoteJwks,
  RequirementRule,
} from "../../proto/gen/envoy/extensions/filters/http/jwt_authn/v3/config.ts";
import { JWT_CACHE_TOKENS_MAX, MATCHER_DEPTH_MAX } from "../limits.ts";
import { type Field, fields } from "./field.ts";
import { type KeySet, readKeySet } from "./jwks.ts";
import { compileMatch, type RoutePredicate } from "./match.ts";
import { compileString, type StringPredicate } from "./matcher.ts";
import { durationMs, inlineText } from "./value.ts";

export interface RemoteKeys {
  readonly kind: "remote";
  readonly cluster: string;
  readonly authority: string;
  readonly path: string;
  readonly timeoutMs: number;
  readonly cacheMs: number;
  /** Fetched ahead of requests, and again before they expire. */
  readonly ahead: boolean;
  readonly failedRefetchMs: number;
  readonly retries: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
}

export type KeySource = { readonly kind: "local"; readonly set: KeySet } | RemoteKeys;

export interface JwtProviderConfig {
  readonly name: string;
  readonly issuer: string;
  readonly audiences: ReadonlySet<string>;
  readonly subjects: StringPredicate | undefined;
  readonly requireExpiration: boolean;
  readonly maxLifetimeS: number | undefined;
  readonly keys: KeySource;
  readonly forward: boolean;
  readonly headers: readonly { readonly name: string; readonly prefix: string }[];
  readonly params: readonly string[];
  readonly cookies: readonly string[];
  readonly payloadHeader: string;
  readonly padPayload: boolean;
  readonly payloadKey: string;
  readonly headerKey: string;
  readonly failedStatusKey: string;
  readonly spaceDelimited: readonly string[];
  readonly clockSkewS: number;
  readonly cacheSize: number;
  readonly cacheTokenCharsMax: number;
  /** The configuration asks for the cache, so that its hits are counted. */
  readonly countsCache: boolean;
  readonly claimHeaders: readonly { readonly header: string; readonly path: readonly string[] }[];
  readonly clearRoute: boolean;
}

export type Requirement =
  | {
      readonly kind: "provider";
      readonly provider: JwtProviderConfig;
      /** Instead of the provider's own. */
      readonly audiences: ReadonlySet<string> | undefined;
    }
  | { readonly kind: "any"; readonly requirements: readonly Requirement[] }
  | { readonly kind: "all"; readonly requirements: readonly Requirement[] }
  | { readonly kind: "allow-missing"; readonly providers: readonly JwtProviderConfig[] }
  | { readonly kind: "allow-failed"; readonly providers: readonly JwtProviderConfig[] };

export interface JwtRule {
  readonly predicates: readonly RoutePredicate[];
  /** Undefined: no token is needed. */
  readonly requirement: Requirement | undefined;
}

export interface JwtConfig {
  readonly kind: "jwt_authn";
  readonly providers: readonly JwtProviderConfig[];
  readonly rules: readonly JwtRule[];
  readonly named: ReadonlyMap<string, Requirement>;
  readonly bypassCorsPreflight: boolean;
  readonly stripFailureResponse: boolean;
  readonly statPrefix: string;
}

export interface JwtOverride {
  readonly kind: "jwt_route";
  readonly requirement: string;
}

const PROVIDER =
  fields(`issuer audiences subjects requireExpiration maxLifetime jwksSourceSpecifier forward fromHeaders fromParams fromCookies
  forwardPayloadHeader padForwardPayloadHeader payloadInMetadata normalizePayloadInMetadata headerInMetadata failedStatusInMetadata
  clockSkewSeconds jwtCacheConfig claimToHeaders clearRouteCache`);

export function compileJwt(message: JwtAuthentication, at: Field): JwtConfig {
  at.only(message, fields("providers rules bypassCorsPreflight requirementMap stripFailureResponse statPrefix"));
  const providers = new Map<string, JwtProviderConfig>();
  for (const [name, provider] of Object.entries(message.providers)) {
    const compiled = compileProvider(name, provider, at.at(`providers[${name}]`));
    if (compiled !== undefined) providers.set(name, compiled);
  }
  const named = new Map<string, Requirement>();
  for (const [name, one] of Object.entries(message.requirementMap)) {
    const compiled = compileRequirement(one, { providers, depth: 0 }, at.at(`requirementMap[${name}]`));
    if (compiled !== undefined) named.set(name, compiled);
  }
  return {
    kind: "jwt_authn",
    providers: [...providers.values()],
    rules: message.rules.map((one, index) => compileRule(one, { providers, named }, at.at("rules").at(index))),
    named,
    bypassCorsPreflight: message.bypassCorsPreflight,
    stripFailureResponse: message.stripFailureResponse,
    statPrefix: message.statPrefix,
  };
}

export function compileJwtOverride(message: PerRouteConfig): JwtOverride | { readonly kind: "disabled" } {
  const specifier = message.requirementSpecifier;
  if (specifier?.$case !== "requirementName") return { kind: "disabled" };
  return { kind: "jwt_route", requirement: specifier.value };
}

/** Envoy compares audiences without their scheme and without a slash at the end. */
export function plainAudience(audience: string): string {
  return audience.replace(/^https?:\/\//, "").replace(/\/$/, "");
}

function compileProvider(name: string, provider: JwtProvider, at: Field): JwtProviderConfig | undefined {
  at.only(provider, PROVIDER);
  const keys = compileKeys(provider, at);
  if (keys === undefined) return undefined;
  const nowhere =
    provider.fromHeaders.length === 0 && provider.fromParams.length === 0 && provider.fromCookies.length === 0;
  const cache = provider.jwtCacheConfig;
  return {
    name,
    issuer: provider.issuer,
    audiences: new Set(provider.audiences.map(plainAudience)),
    subjects: provider.subjects === undefined ? undefined : compileString(provider.subjects, at.at("subjects")),
    requireExpiration: provider.requireExpiration,
    maxLifetimeS: provider.maxLifetime === undefined ? undefined : (durationMs(provider.maxLifetime) ?? 0) / 1000,
    keys,
    forward: provider.forward,
    headers: nowhere ? [BEARER] : provider.fromHeaders.map(headerOf),
    params: nowhere ? ["access_token"] : provider.fromParams,
    cookies: provider.fromCookies,
    payloadHeader: provider.forwardPayloadHeader.toLowerCase(),
    padPayload: provider.padForwardPayloadHeader,
    payloadKey: provider.payloadInMetadata,
    headerKey: provider.headerInMetadata,
    failedStatusKey: provider.failedStatusInMetadata,
    spaceDelimited: provider.normalizePayloadInMetadata?.spaceDelimitedClaims ?? [],
    clockSkewS: provider.clockSkewSeconds || 60,
    cacheSize: Math.min(cache?.jwtCacheSize || 100, JWT_CACHE_TOKENS_MAX),
    cacheTokenCharsMax: cache?.jwtMaxTokenSize || 4096,
    countsCache: cache !== undefined,
    claimHeaders: provider.claimToHeaders.map((one) => ({
      header: one.headerName.toLowerCase(),
      path: one.claimPath.length > 0 ? one.claimPath.map(({ key }) => key) : one.claimName.split("."),
    })),
    clearRoute: provider.clearRouteCache,
  };
}

const BEARER = { name: "authorization", prefix: "Bearer " };

function headerOf(header: JwtHeader): { readonly name: string; readonly prefix: string } {
  return { name: header.name.toLowerCase(), prefix: header.valuePrefix };
}

function compileKeys(provider: JwtProvider, at: Field): KeySource | undefined {
  const source = provider.jwksSourceSpecifier;
  switch (source?.$case) {
    case undefined:
      at.refuse("a provider needs remote_jwks or local_jwks");
      return undefined;
    case "localJwks":
      return localKeys(source.value, at.at("localJwks"));
    case "remoteJwks":
      return remoteKeys(source.value, at.at("remoteJwks"));
  }
}

function localKeys(source: DataSource, at: Field): KeySource | undefined {
  const text = inlineText(source, at);
  if (text === undefined) return undefined;
  const read = readKeySet(text);
  if (read.ok) return { kind: "local", set: read.value };
  at.refuse(read.error);
  return undefined;
}

function remoteKeys(remote: RemoteJwks, at: Field): RemoteKeys | undefined {
  at.only(remote, fields("httpUri cacheDuration asyncFetch retryPolicy"));
  const uri = /^(?:https?:\/\/)?([^/?#]+)([^#]*)/.exec(remote.httpUri?.uri ?? "");
  const upstream = remote.httpUri?.httpUpstreamType;
  if (uri === null || upstream === undefined) {
    at.at("httpUri").refuse("an http_uri needs a uri and a cluster");
    return undefined;
  }
  if (remote.asyncFetch !== undefined) {
    at.at("asyncFetch").only(remote.asyncFetch, fields("fastListener failedRefetchDuration"));
  }
  const retry = remote.retryPolicy;
  if (retry !== undefined) at.at("retryPolicy").only(retry, fields("numRetries retryBackOff"));
  const [, authority = "", path = ""] = uri;
  return {
    kind: "remote",
    cluster: upstream.value,
    authority,
    path: path.startsWith("/") ? path : `/${path}`,
    timeoutMs: durationMs(remote.httpUri?.timeout) ?? 1000,
    cacheMs: durationMs(remote.cacheDuration) ?? 600_000,
    ahead: remote.asyncFetch !== undefined,
    failedRefetchMs: durationMs(remote.asyncFetch?.failedRefetchDuration) ?? 1000,
    retries: retry === undefined ? 0 : (retry.numRetries ?? 1),
    retryBaseMs: durationMs(retry?.retryBackOff?.baseInterval) ?? 1000,
    retryMaxMs: durationMs(retry?.retryBackOff?.maxInterval) ?? 10_000,
  };
}

interface Known {
  readonly providers: ReadonlyMap<string, JwtProviderConfig>;
  readonly named: ReadonlyMap<string, Requirement>;
}

function compileRule(rule: RequirementRule, known: Known, at: Field): JwtRule {
  const predicates = compileMatch(rule.match, { ignorePathParameters: false }, at.at("match"));
  const type = rule.requirementType;
  switch (type?.$case) {
    case undefined:
      return { predicates, requirement: undefined };
    case "requires": {
      const inside = { providers: known.providers, depth: 0 };
      return { predicates, requirement: compileRequirement(type.value, inside, at.at("requires")) };
    }
    case "requirementName": {
      const requirement = known.named.get(type.value);
      if (requirement === undefined) at.at("requirementName").refuse(`no requirement is named ${type.value}`);
      return { predicates, requirement };
    }
  }
}

interface Inside {
  readonly providers: ReadonlyMap<string, JwtProviderConfig>;
  readonly depth: number;
}

/** Undefined: nothing is required, as where the message is empty. */
function compileRequirement(message: JwtRequirement, inside: Inside, at: Field): Requirement | undefined {
  const type = message.requiresType;
  if (inside.depth > MATCHER_DEPTH_MAX) {
    at.refuse("requirements are nested too deeply");
    return undefined;
  }
  const all = [...inside.providers.values()];
  switch (type?.$case) {
    case undefined:
      return undefined;
    case "providerName":
      return compileOne(type.value, undefined, inside, at.at("providerName"));
    case "providerAndAudiences": {
      const audiences = new Set(type.value.audiences.map(plainAudience));
      return compileOne(type.value.providerName, audiences, inside, at.at("providerAndAudiences").at("providerName"));
    }
    case "requiresAny":
      return compileAny(type.value.requirements, inside, at.at("requiresAny").at("requirements"));
    case "requiresAll": {
      const deeper = { ...inside, depth: inside.depth + 1 };
      const field = at.at("requiresAll").at("requirements");
      const list = type.value.requirements.map((one, index) => compileRequirement(one, deeper, field.at(index)));
      return { kind: "all", requirements: list.filter((one) => one !== undefined) };
    }
    case "allowMissing":
      return { kind: "allow-missing", providers: all };
    case "allowMissingOrFailed":
      return { kind: "allow-failed", providers: all };
    case "extractOnlyWithoutValidation":
      at.at("extractOnlyWithoutValidation").refuse("a token that nobody verified is not taken here");
      return undefined;
  }
}

function compileOne(
  name: string,
  audiences: ReadonlySet<string> | undefined,
  inside: Inside,
  at: Field,
): Requirement | undefined {
  const provider = inside.providers.get(name);
  if (provider !== undefined) return { kind: "provider", provider, audiences };
  at.refuse(`no provider is named ${name}`);
  return undefined;
}

/** What lets tokens be missing or fail looks, among others, only where those others do. */
function compileAny(messages: readonly JwtRequirement[], inside: Inside, at: Field): Requirement {
  const deeper = { ...inside, depth: inside.depth + 1 };
  const requirements: Requirement[] = [];
  let lenient: "allow-missing" | "allow-failed" | undefined;
  for (const [index, one] of messages.entries()) {
    const kind = one.requiresType?.$case;
    if (kind === "allowMissingOrFailed") lenient = "allow-failed";
    else if (kind === "allowMissing") lenient ??= "allow-missing";
    else {
      const compiled = compileRequirement(one, deeper, at.at(index));
      if (compiled !== undefined) requirements.push(compiled);
    }
  }
  if (lenient !== undefined) {
    const used = [...new Set(requirements.flatMap(providersOf))];
    requirements.push({ kind: lenient, providers: used.length > 0 ? used : [...inside.providers.values()] });
  }
  return { kind: "any", requirements };
}

function providersOf(requirement: Requirement): readonly JwtProviderConfig[] {
  switch (requirement.kind) {
    case "provider":
      return [requirement.provider];
    case "any":
    case "all":
      return requirement.requirements.flatMap(providersOf);
    case "allow-missing":
    case "allow-failed":
      return requirement.providers;
  }
}
