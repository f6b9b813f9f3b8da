// What a route does: forward to a cluster, redirect, or answer by itself.

import { isIP } from "node:net";
import { RoutingPriority } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { RouteConfiguration } from "../../proto/gen/envoy/config/route/v3/route.ts";
import {
  type DirectResponseAction,
  type RedirectAction,
  RedirectAction_RedirectResponseCode,
  type Route,
  type RouteAction,
  RouteAction_ClusterNotFoundResponseCode,
  type RouteAction_HashPolicy,
  type RouteAction_RequestMirrorPolicy,
  type RouteAction_UpgradeConfig,
  type VirtualHost,
  type WeightedCluster,
} from "../../proto/gen/envoy/config/route/v3/route_components.ts";
import { UriTemplateRewriteConfig } from "../../proto/gen/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite.ts";
import { BUFFERED_BODY_BYTES_MAX } from "../limits.ts";
import { Field, fields } from "./field.ts";
import type { FilterOverride } from "./http-filter.ts";
import { templateOf } from "./match.ts";
import { compileSubstitution, type Substitution } from "./matcher.ts";
import type { HeaderMutation } from "./mutation.ts";
import { compileMutations } from "./mutation.ts";
import { compileOverrides } from "./overrides.ts";
import { compileRetry, type RetryConfig } from "./retry.ts";
import { compileMetadataMatch, type MetadataMatch } from "./subset.ts";
import { compileTemplateRewrite, type PathTemplate } from "./template.ts";
import { durationMs, inlineText, runtimeFraction } from "./value.ts";

export interface WeightedTarget {
  /** Empty where `header` names the header that holds it. */
  readonly name: string;
  readonly header: string;
  readonly weight: number;
  readonly hostRewrite: string | undefined;
  readonly requestMutations: readonly HeaderMutation[];
  readonly responseMutations: readonly HeaderMutation[];
  readonly overrides: ReadonlyMap<string, FilterOverride>;
  /** The route's with its own over it. */
  readonly metadataMatch: MetadataMatch | undefined;
}

export type ClusterTarget =
  | { readonly kind: "cluster"; readonly name: string }
  | {
      readonly kind: "weighted";
      readonly total: number;
      readonly clusters: readonly WeightedTarget[];
      /** The header whose number chooses instead of chance; empty: none. */
      readonly randomHeader: string;
    }
  | { readonly kind: "header"; readonly header: string };

export type PathRewrite =
  | { readonly kind: "prefix"; readonly matched: number; readonly text: string }
  | { readonly kind: "exact"; readonly text: string }
  | { readonly kind: "regex"; readonly substitution: Substitution }
  | {
      readonly kind: "template";
      readonly pattern: PathTemplate;
      readonly write: (captures: ReadonlyMap<string, string>) => string;
    };

export type HostRewrite =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "auto" }
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "path-regex"; readonly substitution: Substitution };

export type HashSource =
  | {
      readonly kind: "header";
      readonly name: string;
      readonly rewrite: Substitution | undefined;
      readonly terminal: boolean;
    }
  | {
      readonly kind: "cookie";
      readonly name: string;
      /** Undefined: never made by the proxy. 0: a session cookie. */
      readonly ttlMs: number | undefined;
      readonly path: string;
      /** `; NAME=VALUE` of further attributes. */
      readonly attributes: string;
      readonly terminal: boolean;
    }
  | { readonly kind: "source-ip"; readonly terminal: boolean }
  | { readonly kind: "query"; readonly name: string; readonly terminal: boolean };

export interface Mirror {
  readonly cluster: string;
  /** The header that names the cluster, where `cluster` is empty. */
  readonly header: string;
  readonly share: number;
  readonly keepHost: boolean;
}

export interface ForwardAction {
  readonly kind: "forward";
  readonly target: ClusterTarget;
  readonly clusterNotFoundStatus: number;
  /** 0: none. */
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number | undefined;
  /** 0: none; undefined: the connection manager's. */
  readonly maxStreamDurationMs: number | undefined;
  readonly pathRewrite: PathRewrite | undefined;
  readonly hostRewrite: HostRewrite | undefined;
  readonly appendForwardedHost: boolean;
  readonly retry: RetryConfig | undefined;
  readonly mirrors: readonly Mirror[];
  readonly hash: readonly HashSource[];
  /** The subset of the cluster's hosts that is asked for. */
  readonly metadataMatch: MetadataMatch | undefined;
  readonly priority: "default" | "high";
  /** Upgrade types that the route switches on or off; others follow the connection manager. */
  readonly upgrades: ReadonlyMap<string, boolean>;
  /** A CONNECT ends here: what is in the tunnel goes to the host, which knows nothing of it. */
  readonly endsConnect: boolean;
  readonly bufferBytesMax: number;
}

export interface RedirectConfig {
  readonly kind: "redirect";
  readonly status: number;
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
  readonly path: string | undefined;
  readonly rewrite: PathRewrite | undefined;
  readonly stripQuery: boolean;
}

export interface DirectConfig {
  readonly kind: "direct";
  readonly status: number;
  readonly body: string;
}

export type Action = ForwardAction | RedirectConfig | DirectConfig | { readonly kind: "none" };

/** max_grpc_timeout concerns gRPC, which HTTP/1.1 doesn't carry. total_weight is what the weights add up to,
 * whatever it says; runtime keys stand for their default values. */
const FORWARD =
  fields(`clusterSpecifier clusterNotFoundResponseCode prefixRewrite regexRewrite hostRewriteSpecifier appendXForwardedHost
  timeout idleTimeout retryPolicy requestMirrorPolicies priority hashPolicy maxGrpcTimeout upgradeConfigs maxStreamDuration pathRewritePolicy
  metadataMatch rateLimits includeVhRateLimits`);
const WEIGHT =
  fields(`name weight requestHeadersToAdd requestHeadersToRemove responseHeadersToAdd responseHeadersToRemove
  hostRewriteSpecifier clusterHeader typedPerFilterConfig metadataMatch`);

const URI_REWRITE = "type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig";

/** Envoy's default where a route has no timeout. */
const ROUTE_TIMEOUT_MS = 15_000;

export interface ActionAround {
  readonly host: VirtualHost;
  readonly config: RouteConfiguration;
}

export function compileAction(route: Route, around: ActionAround, at: Field): Action {
  const action = route.action;
  switch (action?.$case) {
    case "route":
      return compileForward(action.value, { route, ...around }, at.at("route"));
    case "redirect":
      return compileRedirect(action.value, route, at.at("redirect"));
    case "directResponse":
      return compileDirect(action.value, at.at("directResponse"));
    case undefined:
      at.refuse("a route needs an action");
      return { kind: "none" };
    case "filterAction":
    case "nonForwardingAction":
      at.at(action.$case).refuse("this kind of action is not built in");
      return { kind: "none" };
  }
}

function compileForward(
  action: RouteAction,
  around: ActionAround & { readonly route: Route },
  at: Field,
): ForwardAction {
  at.only(action, FORWARD);
  const { route, host, config } = around;
  const retry = action.retryPolicy ?? host.retryPolicy;
  // The nearest list holds, whole.
  const mirrors = [action, host, config].map((one) => one.requestMirrorPolicies).find((list) => list.length > 0) ?? [];
  const { maxStreamDuration } = action;
  if (maxStreamDuration !== undefined) at.at("maxStreamDuration").only(maxStreamDuration, fields("maxStreamDuration"));
  return {
    kind: "forward",
    target: compileTarget(action, at),
    clusterNotFoundStatus: notFoundStatus(action),
    timeoutMs: durationMs(action.timeout) ?? ROUTE_TIMEOUT_MS,
    idleTimeoutMs: durationMs(action.idleTimeout),
    maxStreamDurationMs: durationMs(maxStreamDuration?.maxStreamDuration),
    pathRewrite: compilePathRewrite(action, route, at),
    hostRewrite: compileHostRewrite(action, at),
    appendForwardedHost: action.appendXForwardedHost,
    retry: retry === undefined ? undefined : compileRetry(retry, at.at("retryPolicy")),
    mirrors: mirrors.map((mirror, index) => compileMirror(mirror, at.at("requestMirrorPolicies").at(index))),
    hash: action.hashPolicy.flatMap((policy, index) => compileHash(policy, at.at("hashPolicy").at(index))),
    metadataMatch: compileMetadataMatch(action.metadataMatch, undefined),
    priority: action.priority === RoutingPriority.HIGH ? "high" : "default",
    upgrades: compileUpgrades(action.upgradeConfigs, at.at("upgradeConfigs")),
    endsConnect: action.upgradeConfigs.some((one) => one.connectConfig !== undefined),
    bufferBytesMax: route.perRequestBufferLimitBytes ?? host.perRequestBufferLimitBytes ?? BUFFERED_BODY_BYTES_MAX,
  };
}

function compileUpgrades(configs: readonly RouteAction_UpgradeConfig[], at: Field): ReadonlyMap<string, boolean> {
  const upgrades = new Map<string, boolean>();
  for (const [index, one] of configs.entries()) {
    at.at(index).only(one, fields("upgradeType enabled connectConfig"));
    const type = one.upgradeType.toLowerCase();
    if (one.connectConfig !== undefined) {
      const field = at.at(index).at("connectConfig");
      field.only(one.connectConfig, fields(""));
      if (type !== "connect") field.refuse("is for the upgrade type CONNECT only");
    }
    if (upgrades.has(type)) at.at(index).refuse(`the upgrade ${one.upgradeType} comes twice`);
    upgrades.set(type, one.enabled ?? true);
  }
  return upgrades;
}

function compileTarget(action: RouteAction, at: Field): ClusterTarget {
  const specifier = action.clusterSpecifier;
  switch (specifier?.$case) {
    case "cluster":
      return { kind: "cluster", name: specifier.value };
    case "clusterHeader":
      return { kind: "header", header: specifier.value.toLowerCase() };
    case "weightedClusters":
      return compileWeighted(specifier.value, action, at.at("weightedClusters"));
    default:
      at.refuse("a route needs cluster, cluster_header or weighted_clusters");
      return { kind: "cluster", name: "" };
  }
}

function compileWeighted(weighted: WeightedCluster, action: RouteAction, at: Field): ClusterTarget {
  const metadataMatch = compileMetadataMatch(action.metadataMatch, undefined);
  at.only(weighted, fields("clusters totalWeight runtimeKeyPrefix randomValueSpecifier"));
  let total = 0;
  const clusters = weighted.clusters.map((one, index): WeightedTarget => {
    const field = at.at("clusters").at(index);
    field.only(one, WEIGHT);
    const weight = runtimeWeight(weighted.runtimeKeyPrefix, one.name, at) ?? one.weight ?? 0;
    total += weight;
    if ((one.name === "") === (one.clusterHeader === "")) field.refuse("one of name and cluster_header is needed");
    return {
      name: one.name,
      header: one.clusterHeader.toLowerCase(),
      weight,
      overrides: compileOverrides([one], field),
      hostRewrite: one.hostRewriteSpecifier?.value,
      requestMutations: compileMutations(
        { add: one.requestHeadersToAdd, remove: one.requestHeadersToRemove },
        field,
        "requestHeadersToAdd",
      ),
      responseMutations: compileMutations(
        { add: one.responseHeadersToAdd, remove: one.responseHeadersToRemove },
        field,
        "responseHeadersToAdd",
      ),
      metadataMatch: compileMetadataMatch(one.metadataMatch, metadataMatch),
    };
  });
  if (total === 0) at.refuse("the weights add up to nothing");
  return { kind: "weighted", total, clusters, randomHeader: weighted.randomValueSpecifier?.value.toLowerCase() ?? "" };
}

/** Envoy asks the runtime for each cluster's weight by this key. */
function runtimeWeight(prefix: string, cluster: string, at: Field): number | undefined {
  const text = prefix === "" ? undefined : at.runtime.get(`${prefix}.${cluster}`)?.text;
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

function notFoundStatus(action: RouteAction): number {
  switch (action.clusterNotFoundResponseCode) {
    case RouteAction_ClusterNotFoundResponseCode.NOT_FOUND:
      return 404;
    case RouteAction_ClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR:
      return 500;
    default:
      return 503;
  }
}

function compilePathRewrite(action: RouteAction, route: Route, at: Field): PathRewrite | undefined {
  const given = [
    action.prefixRewrite !== "",
    action.regexRewrite !== undefined,
    action.pathRewritePolicy !== undefined,
  ];
  if (given.filter(Boolean).length > 1)
    at.refuse("only one of prefix_rewrite, regex_rewrite and path_rewrite_policy may be given");
  if (action.pathRewritePolicy !== undefined) return compileTemplatePolicy(action, route, at);
  if (action.regexRewrite !== undefined) {
    return { kind: "regex", substitution: compileSubstitution(action.regexRewrite, at.at("regexRewrite")) };
  }
  return action.prefixRewrite === "" ? undefined : prefixRewrite(action.prefixRewrite, route);
}

function compileTemplatePolicy(action: RouteAction, route: Route, at: Field): PathRewrite | undefined {
  const any = action.pathRewritePolicy?.typedConfig;
  const field = at.at("pathRewritePolicy");
  if (any?.typeUrl !== URI_REWRITE) {
    field.refuse(`path rewrite policy ${any?.typeUrl ?? action.pathRewritePolicy?.name} is not built in`);
    return undefined;
  }
  // What is wrong with the match itself is said where the match is.
  const pattern = templateOf(route.match, Field.root("", ""));
  if (pattern === undefined) {
    field.refuse("a template can rewrite only what a path_match_policy matched");
    return undefined;
  }
  const write = compileTemplateRewrite(UriTemplateRewriteConfig.decode(any.value).pathTemplateRewrite, pattern.names);
  if (write.ok) return { kind: "template", pattern, write: write.value };
  field.at("typedConfig").as(URI_REWRITE).at("pathTemplateRewrite").refuse(write.error);
  return undefined;
}

/** A prefix rewrite of a route that matches one path or a regular expression replaces all of it, as in Envoy. */
function prefixRewrite(text: string, route: Route): PathRewrite {
  const specifier = route.match?.pathSpecifier;
  if (specifier?.$case === "prefix" || specifier?.$case === "pathSeparatedPrefix") {
    return { kind: "prefix", matched: specifier.value.length, text };
  }
  return { kind: "exact", text };
}

function compileHostRewrite(action: RouteAction, at: Field): HostRewrite | undefined {
  const specifier = action.hostRewriteSpecifier;
  switch (specifier?.$case) {
    case undefined:
      return undefined;
    case "hostRewriteLiteral":
      return { kind: "literal", text: specifier.value };
    case "autoHostRewrite":
      return specifier.value === true ? { kind: "auto" } : undefined;
    case "hostRewriteHeader":
      return { kind: "header", name: specifier.value.toLowerCase() };
    case "hostRewritePathRegex":
      return { kind: "path-regex", substitution: compileSubstitution(specifier.value, at.at("hostRewritePathRegex")) };
  }
}

function compileMirror(mirror: RouteAction_RequestMirrorPolicy, at: Field): Mirror {
  // trace_sampled is about spans of mirrored requests, and mirrored requests have none here.
  at.only(mirror, fields("cluster clusterHeader runtimeFraction traceSampled disableShadowHostSuffixAppend"));
  if ((mirror.cluster === "") === (mirror.clusterHeader === ""))
    at.refuse("one of cluster and cluster_header is needed");
  return {
    cluster: mirror.cluster,
    header: mirror.clusterHeader.toLowerCase(),
    share: runtimeFraction(mirror.runtimeFraction, 1, at.at("runtimeFraction")),
    keepHost: mirror.disableShadowHostSuffixAppend,
  };
}

function compileHash(policy: RouteAction_HashPolicy, at: Field): readonly HashSource[] {
  const { terminal, policySpecifier: specifier } = policy;
  switch (specifier?.$case) {
    case "header": {
      const { regexRewrite, headerName } = specifier.value;
      const rewrite = regexRewrite === undefined ? undefined : compileSubstitution(regexRewrite, at.at("header"));
      return [{ kind: "header", name: headerName.toLowerCase(), rewrite, terminal }];
    }
    case "cookie": {
      const { name, ttl, path } = specifier.value;
      const attributes = specifier.value.attributes
        .map((one) => (one.value === "" ? `; ${one.name}` : `; ${one.name}=${one.value}`))
        .join("");
      return [{ kind: "cookie", name, ttlMs: durationMs(ttl), path, attributes, terminal }];
    }
    case "connectionProperties":
      return specifier.value.sourceIp ? [{ kind: "source-ip", terminal }] : [];
    case "queryParameter":
      return [{ kind: "query", name: specifier.value.name, terminal }];
    default:
      at.refuse("this kind of hash policy is not built in");
      return [];
  }
}

function compileRedirect(action: RedirectAction, route: Route, at: Field): RedirectConfig {
  const rewrite = action.pathRewriteSpecifier;
  const scheme = action.schemeRewriteSpecifier;
  return {
    kind: "redirect",
    status: redirectStatus(action.responseCode),
    scheme: scheme?.$case === "httpsRedirect" ? (scheme.value ? "https" : "") : (scheme?.value ?? ""),
    host: isIP(action.hostRedirect) === 6 ? `[${action.hostRedirect}]` : action.hostRedirect,
    port: action.portRedirect,
    path: rewrite?.$case === "pathRedirect" ? rewrite.value : undefined,
    rewrite:
      rewrite?.$case === "prefixRewrite"
        ? prefixRewrite(rewrite.value, route)
        : rewrite?.$case === "regexRewrite"
          ? { kind: "regex", substitution: compileSubstitution(rewrite.value, at.at("regexRewrite")) }
          : undefined,
    stripQuery: action.stripQuery,
  };
}

function redirectStatus(code: RedirectAction_RedirectResponseCode): number {
  switch (code) {
    case RedirectAction_RedirectResponseCode.FOUND:
      return 302;
    case RedirectAction_RedirectResponseCode.SEE_OTHER:
      return 303;
    case RedirectAction_RedirectResponseCode.TEMPORARY_REDIRECT:
      return 307;
    case RedirectAction_RedirectResponseCode.PERMANENT_REDIRECT:
      return 308;
    default:
      return 301;
  }
}

function compileDirect(action: DirectResponseAction, at: Field): DirectConfig {
  return { kind: "direct", status: action.status, body: inlineText(action.body, at.at("body")) ?? "" };
}
