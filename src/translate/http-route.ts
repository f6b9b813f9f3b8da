// The routes of one virtual host: a VirtualService's rules as one proxy sees them, or the plain default.

import type { Destination, HeaderOperations, HttpMatch, HttpRetries, HttpRoute } from "../api/istio/virtual-service.ts";
import type { PlacedRule } from "../model/delegate.ts";
import { matchesLabels } from "../model/endpoint.ts";
import { formatRef } from "../model/finding.ts";
import type { HostRoutes, ResolvedDestination } from "../model/routing.ts";
import {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction,
} from "../proto/gen/envoy/config/core/v3/base.ts";
import {
  RedirectAction,
  RedirectAction_RedirectResponseCode,
  Route,
  RouteAction,
  WeightedCluster,
} from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { setHashPolicy } from "./consistent-hash.ts";
import { corsConfig } from "./cors.ts";
import { faultConfig } from "./fault.ts";
import { routeMatch } from "./matcher.ts";
import { outboundName } from "./names.ts";
import { retryPolicy } from "./retry.ts";
import { type ClientView, isBoundTo, resolveFor } from "./view.ts";
import { durationFromText, durationOf, istioConfigPath, metadataOf, percentOf } from "./wire.ts";

/** Why a cluster that a route names has nothing behind it. */
export interface DeadEnd {
  readonly cluster: string;
  readonly reason: string;
  readonly resource: string;
}

export interface BuiltRoutes {
  readonly routes: Route[];
  readonly deadEnds: readonly DeadEnd[];
}

export function defaultRoute(cluster: string, retries?: HttpRetries): Route {
  return Route.fromPartial({
    name: "default",
    match: { pathSpecifier: { $case: "prefix", value: "/" } },
    action: { $case: "route", value: forward(cluster, { retries }) },
  });
}

/** The rules that apply to this client and this listener port, up to the first that takes every request. */
export function hostRoutes(rules: Pick<HostRoutes, "http">, port: number, view: ClientView): BuiltRoutes {
  const routes: Route[] = [];
  const deadEnds: DeadEnd[] = [];
  for (const placed of rules.http) {
    const rule = placed.route;
    const matches = rule.match === undefined || rule.match.length === 0 ? [undefined] : rule.match;
    for (const match of matches) {
      if (!isForClient(match, port, view) || !isBoundTo(match?.gateways, placed.namespace, view)) continue;
      const context = { placed, rule, match, port, view, deadEnds };
      const route = buildRoute(context);
      routes.push(route);
      if (isCatchAll(route)) return { routes, deadEnds };
    }
  }
  return { routes, deadEnds };
}

interface RuleContext {
  readonly placed: PlacedRule<HttpRoute>;
  readonly rule: HttpRoute;
  readonly match: HttpMatch | undefined;
  readonly port: number;
  readonly view: ClientView;
  readonly deadEnds: DeadEnd[];
}

function isForClient(match: HttpMatch | undefined, port: number, view: ClientView): boolean {
  if (match === undefined) return true;
  if (match.port !== undefined && match.port !== port) return false;
  if (match.sourceNamespace !== undefined && match.sourceNamespace !== view.namespace) return false;
  return matchesLabels(match.sourceLabels, view.labels);
}

export function isCatchAll({ match }: Route): boolean {
  if (match === undefined || match.headers.length > 0 || match.queryParameters.length > 0) return false;
  const path = match.pathSpecifier;
  if (path?.$case === "prefix") return path.value === "/";
  return path?.$case === "safeRegex" && path.value.regex === ".*";
}

function buildRoute(context: RuleContext): Route {
  const { rule, placed, match } = context;
  const names = [rule.name, match?.name].filter((name) => name !== undefined && name !== "");
  const route = Route.fromPartial({ name: names.join("."), match: routeMatch(match), action: buildAction(context) });
  route.metadata = metadataOf(
    { resource: formatRef(placed.resource), rule: placed.rule },
    { config: istioConfigPath(placed.resource) },
  );
  route.requestHeadersToAdd = headersToAdd(rule.headers?.request);
  route.requestHeadersToRemove = rule.headers?.request?.remove ?? [];
  route.responseHeadersToAdd = headersToAdd(rule.headers?.response);
  route.responseHeadersToRemove = rule.headers?.response?.remove ?? [];
  route.statPrefix = match?.statPrefix ?? "";
  if (rule.fault !== undefined) route.typedPerFilterConfig["envoy.filters.http.fault"] = faultConfig(rule.fault);
  if (rule.corsPolicy !== undefined)
    route.typedPerFilterConfig["envoy.filters.http.cors"] = corsConfig(rule.corsPolicy);
  return route;
}

function buildAction(context: RuleContext): NonNullable<Route["action"]> {
  const { rule } = context;
  if (rule.redirect !== undefined) return { $case: "redirect", value: redirectAction(context) };
  if (rule.directResponse !== undefined) return directResponse(rule.directResponse);
  return { $case: "route", value: routeAction(context) };
}

function directResponse(response: NonNullable<HttpRoute["directResponse"]>): NonNullable<Route["action"]> {
  const { status, body } = response;
  const data =
    body?.bytes !== undefined
      ? { $case: "inlineBytes" as const, value: Buffer.from(body.bytes, "base64") }
      : { $case: "inlineString" as const, value: body?.string ?? "" };
  return {
    $case: "directResponse",
    value: { status, body: body === undefined ? undefined : { specifier: data, watchedDirectory: undefined } },
  };
}

const REDIRECT_CODES: Readonly<Record<number, RedirectAction_RedirectResponseCode>> = {
  301: RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY,
  302: RedirectAction_RedirectResponseCode.FOUND,
  303: RedirectAction_RedirectResponseCode.SEE_OTHER,
  307: RedirectAction_RedirectResponseCode.TEMPORARY_REDIRECT,
  308: RedirectAction_RedirectResponseCode.PERMANENT_REDIRECT,
};

function redirectAction({ rule, port }: RuleContext): RedirectAction {
  const redirect = rule.redirect ?? {};
  const out = RedirectAction.fromPartial({
    hostRedirect: redirect.authority ?? "",
    responseCode: REDIRECT_CODES[redirect.redirectCode ?? 301] ?? RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY,
  });
  if (redirect.uri !== undefined) out.pathRewriteSpecifier = { $case: "pathRedirect", value: redirect.uri };
  if (redirect.prefixRewrite !== undefined) {
    out.pathRewriteSpecifier = { $case: "prefixRewrite", value: redirect.prefixRewrite };
  }
  if (redirect.scheme !== undefined) out.schemeRewriteSpecifier = { $case: "schemeRedirect", value: redirect.scheme };
  if (redirect.port !== undefined) out.portRedirect = redirect.port;
  else if (redirect.derivePort === "FROM_REQUEST_PORT") out.portRedirect = port;
  else if (redirect.derivePort === "FROM_PROTOCOL_DEFAULT") out.portRedirect = redirect.scheme === "https" ? 443 : 80;
  return out;
}

interface Forwarding {
  readonly timeout?: string | undefined;
  /** The route's own, else MeshConfig's, else Istio's. */
  readonly retries: HttpRetries | undefined;
}

/** To one cluster, with Istio's defaults: no timeout, two retries. */
function forward(cluster: string | undefined, { timeout: limit, retries }: Forwarding): RouteAction {
  const timeout = limit === undefined ? durationOf(0) : durationFromText(limit);
  const action = RouteAction.fromPartial({ timeout });
  if (cluster !== undefined) action.clusterSpecifier = { $case: "cluster", value: cluster };
  action.retryPolicy = retryPolicy(retries);
  return action;
}

function routeAction(context: RuleContext): RouteAction {
  const { rule } = context;
  const destinations = (rule.route ?? []).filter((each, _i, all) => all.length === 1 || (each.weight ?? 0) > 0);
  const { defaultHttpRetryPolicy } = context.view.snapshot.mesh.settings;
  const action = forward(undefined, { timeout: rule.timeout, retries: rule.retries ?? defaultHttpRetryPolicy });
  const [only] = destinations;
  if (only !== undefined && destinations.length === 1 && only.headers === undefined) {
    action.clusterSpecifier = { $case: "cluster", value: clusterOf(only.destination, context) };
  } else {
    action.clusterSpecifier = { $case: "weightedClusters", value: weighted(destinations, context) };
  }
  rewrite(action, context);
  const authority = rule.rewrite?.authority ?? hostHeader(rule.headers?.request);
  if (authority !== undefined) action.hostRewriteSpecifier = { $case: "hostRewriteLiteral", value: authority };
  action.requestMirrorPolicies = mirrors(context);
  const targets = destinations.map(({ destination }) => targetOf(destination, context));
  setHashPolicy(action, targets, context.view);
  return action;
}

function weighted(destinations: NonNullable<HttpRoute["route"]>, context: RuleContext): WeightedCluster {
  return WeightedCluster.fromPartial({
    clusters: destinations.map((each) => ({
      name: clusterOf(each.destination, context),
      weight: destinations.length === 1 ? 100 : (each.weight ?? 0),
      requestHeadersToAdd: headersToAdd(each.headers?.request),
      requestHeadersToRemove: each.headers?.request?.remove ?? [],
      responseHeadersToAdd: headersToAdd(each.headers?.response),
      responseHeadersToRemove: each.headers?.response?.remove ?? [],
      ...hostRewrite(each.headers?.request),
    })),
  });
}

/** A destination's own host goes before the rule's. */
function hostRewrite(operations: HeaderOperations | undefined) {
  const host = hostHeader(operations);
  if (host === undefined) return {};
  return { hostRewriteSpecifier: { $case: "hostRewriteLiteral" as const, value: host } };
}

function targetOf(destination: Destination, { placed, port, view }: RuleContext): ResolvedDestination {
  return resolveFor(view, destination, { resourceNamespace: placed.namespace, port });
}

function clusterOf(destination: Destination, context: RuleContext): string {
  const { placed, deadEnds } = context;
  const target = targetOf(destination, context);
  const cluster = outboundName(target.port, target.subset, target.host);
  if (target.problem !== undefined) {
    const resource = `${formatRef(placed.resource)} ${placed.rule}`;
    deadEnds.push({ cluster, reason: target.problem.reason, resource });
  }
  return cluster;
}

function rewrite(action: RouteAction, { rule, match }: RuleContext): void {
  const { rewrite: wanted } = rule;
  const regex = wanted?.uriRegexRewrite;
  if (regex !== undefined) {
    action.regexRewrite = {
      pattern: { regex: regex.match ?? "", engineType: undefined },
      substitution: regex.rewrite ?? "",
    };
  } else if (wanted?.uri !== undefined) {
    const pattern = match?.uri?.regex;
    // A matched expression has no prefix to replace, so the whole path is.
    if (pattern !== undefined)
      action.regexRewrite = { pattern: { regex: pattern, engineType: undefined }, substitution: wanted.uri };
    else action.prefixRewrite = wanted.uri;
  }
}

function mirrors(context: RuleContext): RouteAction["requestMirrorPolicies"] {
  const { rule } = context;
  const single = rule.mirror === undefined ? [] : [{ destination: rule.mirror, percentage: mirrorShare(rule) }];
  const all = [
    ...single,
    ...(rule.mirrors ?? []).map((each) => ({ ...each, percentage: each.percentage?.value ?? 100 })),
  ];
  return all
    .filter(({ percentage }) => percentage > 0)
    .map(({ destination, percentage }) => ({
      cluster: clusterOf(destination, context),
      clusterHeader: "",
      runtimeFraction: { defaultValue: percentOf(percentage), runtimeKey: "" },
      traceSampled: undefined,
      disableShadowHostSuffixAppend: false,
    }));
}

function mirrorShare(rule: HttpRoute): number {
  return rule.mirrorPercentage?.value ?? rule.mirrorPercent ?? rule.mirror_percent ?? 100;
}

function hostHeader(operations: HeaderOperations | undefined): string | undefined {
  const found = Object.entries(operations?.set ?? {}).find(([name]) => isHost(name));
  return found?.[1];
}

function isHost(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === "host" || lower === ":authority";
}

/** `set` replaces, `add` appends; the host is rewritten by the action instead. */
export function headersToAdd(operations: HeaderOperations | undefined): HeaderValueOption[] {
  const option = (
    key: string,
    value: string,
    appendAction: HeaderValueOption_HeaderAppendAction,
  ): HeaderValueOption => ({
    header: { key, value, rawValue: Buffer.alloc(0) },
    append: undefined,
    appendAction,
    keepEmptyValue: false,
  });
  const set = Object.entries(operations?.set ?? {}).filter(([name]) => !isHost(name));
  const { OVERWRITE_IF_EXISTS_OR_ADD, APPEND_IF_EXISTS_OR_ADD } = HeaderValueOption_HeaderAppendAction;
  return [
    ...set.map(([name, value]) => option(name, value, OVERWRITE_IF_EXISTS_OR_ADD)),
    ...Object.entries(operations?.add ?? {}).map(([name, value]) => option(name, value, APPEND_IF_EXISTS_OR_ADD)),
  ];
}
