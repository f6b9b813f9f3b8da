// Cross-field rules of VirtualService.

import { errorIssue, type Issue, warningIssue } from "../issue.ts";
import { claimPath, isClaim } from "./claims.ts";
import { warnIneffective } from "./ineffective.ts";
import { checkAtMostOne, checkDuration, checkHost, checkPort, checkRange, checkRegex, quote } from "./rules.ts";
import type { StringMatch } from "./shapes.ts";
import type { Destination, HttpFault, HttpMatch, HttpRoute, VirtualService } from "./virtual-service.ts";
import { virtualServiceIneffective } from "./virtual-service-ineffective.ts";
import { warnLostSettings } from "./virtual-service-lost.ts";

export function checkVirtualService(object: VirtualService, previous: VirtualService | undefined): readonly Issue[] {
  const { spec } = object;
  const issues: Issue[] = [...checkHosts(object), ...warnIneffective(object, virtualServiceIneffective)];
  if ([spec.http, spec.tls, spec.tcp].every((routes) => routes === undefined || routes.length === 0)) {
    issues.push(errorIssue("spec", "http, tcp or tls must be provided in virtual service", "required"));
  }
  (spec.http ?? []).forEach((route, i) => {
    issues.push(...checkHttpRoute(route, `spec.http[${i}]`));
  });
  for (const section of ["tls", "tcp"] as const) {
    (spec[section] ?? []).forEach((route, i) => {
      const path = `spec.${section}[${i}]`;
      if ((route.route ?? []).length === 0) issues.push(errorIssue(`${path}.route`, "is required", "required"));
      issues.push(...checkWeights(route.route ?? [], `${path}.route`));
    });
  }
  issues.push(...checkClaims(object), ...warnLostSettings(object, previous));
  return issues;
}

function checkHosts(object: VirtualService): readonly Issue[] {
  const { hosts, gateways } = object.spec;
  const delegated = hosts === undefined || hosts.length === 0;
  if (delegated) {
    return gateways === undefined
      ? checkDelegate(object)
      : [errorIssue("spec.hosts", "virtual service must have at least one host", "required")];
  }
  const mesh = gateways === undefined || gateways.includes("mesh");
  const issues: Issue[] = [];
  hosts.forEach((host, i) => {
    const path = `spec.hosts[${i}]`;
    issues.push(...checkHost(host, path, { wildcard: true }));
    if (host === "*" && mesh) {
      issues.push(errorIssue(path, "wildcard host * is not allowed for virtual services bound to the mesh gateway"));
    }
    if (hosts.indexOf(host) !== i) issues.push(errorIssue(path, `duplicate host ${quote(host)}`, "duplicate"));
  });
  return issues;
}

/** Without hosts it takes part only where another VirtualService names it. */
function checkDelegate({ spec }: VirtualService): readonly Issue[] {
  const issues: Issue[] = (["tcp", "tls"] as const)
    .filter((section) => (spec[section] ?? []).length > 0)
    .map((section) => errorIssue(`spec.${section}`, `delegate virtual service must not have ${section} routes`));
  (spec.http ?? []).forEach((route, i) => {
    if (route.delegate === undefined) return;
    issues.push(errorIssue(`spec.http[${i}].delegate`, "delegate virtual service must not delegate further"));
  });
  return issues;
}

function checkHttpRoute(route: HttpRoute, path: string): readonly Issue[] {
  const issues: Issue[] = [...checkAction(route, path)];
  (route.match ?? []).forEach((match, i) => {
    issues.push(...checkMatch(match, `${path}.match[${i}]`));
  });
  issues.push(...checkWeights(route.route ?? [], `${path}.route`));
  issues.push(...checkDuration(route.timeout, `${path}.timeout`));
  issues.push(...checkRetries(route, `${path}.retries`));
  issues.push(...checkFault(route.fault, `${path}.fault`));
  issues.push(...checkMirrors(route, path));
  issues.push(...checkHeaderNames(route, path));
  (route.corsPolicy?.allowOrigins ?? []).forEach((origin, i) => {
    issues.push(...checkStringMatch(origin, `${path}.corsPolicy.allowOrigins[${i}]`));
  });
  issues.push(...checkDuration(route.corsPolicy?.maxAge, `${path}.corsPolicy.maxAge`));
  return issues;
}

function checkAction(route: HttpRoute, path: string): readonly Issue[] {
  const issues: Issue[] = [];
  const actions = ["route", "redirect", "directResponse", "delegate"] as const;
  const present = actions.filter((action) => route[action] !== undefined);
  if (present.length === 0 || (present.length === 1 && present[0] === "route" && route.route?.length === 0)) {
    issues.push(errorIssue(path, "HTTP route, redirect or direct_response is required", "required"));
  }
  if (present.length > 1) issues.push(errorIssue(path, `HTTP route cannot contain both ${present.join(" and ")}`));
  if (route.redirect !== undefined) {
    issues.push(...checkAtMostOne(route.redirect, ["port", "derivePort"], `${path}.redirect`));
    issues.push(...checkAtMostOne(route.redirect, ["uri", "prefixRewrite"], `${path}.redirect`));
    const code = route.redirect.redirectCode ?? 301;
    if (![301, 302, 303, 307, 308].includes(code)) {
      issues.push(errorIssue(`${path}.redirect.redirectCode`, `${code} is not one of 301, 302, 303, 307, 308`));
    }
    if (route.rewrite !== undefined)
      issues.push(errorIssue(`${path}.rewrite`, "HTTP route rule cannot contain both rewrite and redirect"));
  }
  if (route.directResponse !== undefined) {
    const range = { min: 200, max: 599 };
    issues.push(...checkRange(route.directResponse.status, `${path}.directResponse.status`, range));
  }
  const regex = route.rewrite?.uriRegexRewrite;
  if (regex !== undefined) {
    if (route.rewrite?.uri !== undefined)
      issues.push(errorIssue(`${path}.rewrite`, "only one of uri, uriRegexRewrite may be set"));
    issues.push(...checkRegex(regex.match ?? "", `${path}.rewrite.uriRegexRewrite.match`));
  }
  return issues;
}

/** Tokens are verified where they come in: at gateways. */
function checkClaims({ spec }: VirtualService): readonly Issue[] {
  const gateways = spec.gateways ?? [];
  if (gateways.some((name) => name !== "mesh") || (spec.hosts ?? []).length === 0) return [];
  return (spec.http ?? []).flatMap(({ match = [] }, i) =>
    match.flatMap(({ headers, withoutHeaders }, j) =>
      Object.entries({ headers, withoutHeaders }).flatMap(([field, values]) =>
        Object.keys(values ?? {})
          .filter((name) => claimPath(name) !== undefined)
          .map((name) =>
            warningIssue(
              `spec.http[${i}].match[${j}].${field}[${name}]`,
              "accepted, but only gateways route by claims, and no Gateway is named in spec.gateways",
            ),
          ),
      ),
    ),
  );
}

function checkMatch(match: HttpMatch, path: string): readonly Issue[] {
  const issues: Issue[] = [];
  for (const field of ["uri", "scheme", "method", "authority"] as const) {
    issues.push(...checkStringMatch(match[field], `${path}.${field}`));
  }
  for (const field of ["headers", "withoutHeaders", "queryParams"] as const) {
    for (const [name, value] of Object.entries(match[field] ?? {})) {
      if (name === "") issues.push(errorIssue(`${path}.${field}`, "a name must not be empty"));
      if (isClaim(name) && field !== "queryParams" && claimPath(name) === undefined) {
        const message = `${quote(name)} names no claim; write @request.auth.claims.NAME or @request.auth.claims[NAME]`;
        issues.push(errorIssue(`${path}.${field}[${name}]`, message));
      }
      issues.push(...checkStringMatch(value, `${path}.${field}[${name}]`));
    }
  }
  issues.push(...checkPort(match.port, `${path}.port`));
  return issues;
}

function checkStringMatch(match: StringMatch | undefined, path: string): readonly Issue[] {
  if (match === undefined) return [];
  const issues: Issue[] = [...checkAtMostOne(match, ["exact", "prefix", "regex"], path)];
  if (match.prefix === "") issues.push(errorIssue(`${path}.prefix`, "must not be empty: it would match everything"));
  if (match.regex !== undefined) {
    issues.push(
      ...(match.regex === ""
        ? [errorIssue(`${path}.regex`, "must not be empty")]
        : checkRegex(match.regex, `${path}.regex`)),
    );
  }
  return issues;
}

interface Weighted {
  readonly destination: Destination;
  readonly weight?: number;
}

function checkWeights(routes: readonly Weighted[], path: string): readonly Issue[] {
  const issues: Issue[] = [];
  let total = 0;
  routes.forEach((each, i) => {
    issues.push(...checkDestination(each.destination, `${path}[${i}].destination`));
    const weight = each.weight ?? 0;
    if (weight < 0) issues.push(errorIssue(`${path}[${i}].weight`, "must not be negative"));
    total += weight;
  });
  if (routes.length > 1 && total === 0) issues.push(errorIssue(path, "total destination weight = 0"));
  return issues;
}

function checkDestination(value: Destination, path: string): readonly Issue[] {
  return [
    ...checkHost(value.host, `${path}.host`, { wildcard: false }),
    ...checkPort(value.port?.number, `${path}.port.number`),
  ];
}

const RETRY_CONDITIONS = new Set([
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "retriable-headers",
  "http3-post-connect-failure",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
]);

function checkRetries(route: HttpRoute, path: string): readonly Issue[] {
  const { retries } = route;
  if (retries === undefined) return [];
  const issues: Issue[] = [
    ...checkDuration(retries.perTryTimeout, `${path}.perTryTimeout`),
    ...checkDuration(retries.backoff, `${path}.backoff`),
  ];
  const attempts = retries.attempts ?? 0;
  if (attempts < 0) issues.push(errorIssue(`${path}.attempts`, "must not be negative"));
  for (const part of (retries.retryOn ?? "").split(",").map((text) => text.trim())) {
    if (part === "" || RETRY_CONDITIONS.has(part)) continue;
    const code = Number(part);
    if (!/^\d+$/.test(part) || code < 100 || code > 599) {
      issues.push(errorIssue(`${path}.retryOn`, `${quote(part)} is not a condition to retry on`));
    }
  }
  return issues;
}

function checkFault(fault: HttpFault | undefined, path: string): readonly Issue[] {
  if (fault === undefined) return [];
  const issues: Issue[] = [];
  const { delay, abort } = fault;
  if (delay === undefined && abort === undefined)
    issues.push(errorIssue(path, "must have an abort and/or a delay", "required"));
  if (delay !== undefined) {
    if (delay.fixedDelay === undefined) issues.push(errorIssue(`${path}.delay.fixedDelay`, "is required", "required"));
    issues.push(...checkDuration(delay.fixedDelay, `${path}.delay.fixedDelay`));
    issues.push(...checkPercentage(delay.percentage?.value ?? delay.percent, `${path}.delay.percentage.value`));
  }
  if (abort !== undefined) {
    const kinds = ["httpStatus", "grpcStatus", "http2Error"];
    issues.push(...checkAtMostOne(abort, kinds, `${path}.abort`));
    if (kinds.every((kind) => Reflect.get(abort, kind) === undefined)) {
      issues.push(errorIssue(`${path}.abort.httpStatus`, "is required", "required"));
    }
    issues.push(...checkRange(abort.httpStatus, `${path}.abort.httpStatus`, { min: 200, max: 599 }));
    issues.push(...checkPercentage(abort.percentage?.value, `${path}.abort.percentage.value`));
  }
  return issues;
}

function checkPercentage(value: number | undefined, path: string): readonly Issue[] {
  return checkRange(value, path, { min: 0, max: 100 });
}

function checkMirrors(route: HttpRoute, path: string): readonly Issue[] {
  const issues: Issue[] = [];
  if (route.mirror !== undefined) {
    issues.push(...checkDestination(route.mirror, `${path}.mirror`));
    if ((route.mirrors ?? []).length > 0)
      issues.push(errorIssue(`${path}.mirrors`, "only one of mirror, mirrors may be set"));
  } else if (route.mirrorPercentage !== undefined || route.mirrorPercent !== undefined) {
    issues.push(warningIssue(`${path}.mirrorPercentage`, `${path}.mirrorPercentage has no effect without mirror`));
  }
  issues.push(...checkPercentage(route.mirrorPercentage?.value, `${path}.mirrorPercentage.value`));
  (route.mirrors ?? []).forEach((mirror, i) => {
    issues.push(...checkDestination(mirror.destination, `${path}.mirrors[${i}].destination`));
    issues.push(...checkPercentage(mirror.percentage?.value, `${path}.mirrors[${i}].percentage.value`));
  });
  return issues;
}

function checkHeaderNames(route: HttpRoute, path: string): readonly Issue[] {
  const places = [
    { headers: route.headers, at: `${path}.headers` },
    ...(route.route ?? []).map((each, i) => ({ headers: each.headers, at: `${path}.route[${i}].headers` })),
  ];
  return places.flatMap(({ headers, at }) =>
    (["request", "response"] as const).flatMap((side) => {
      const operations = headers?.[side];
      const named = [
        ...Object.keys(operations?.set ?? {}).map((name) => ({ name, field: "set" })),
        ...Object.keys(operations?.add ?? {}).map((name) => ({ name, field: "add" })),
        ...(operations?.remove ?? []).map((name) => ({ name, field: "remove" })),
      ];
      return named
        .filter(({ name }) => !/^[!#$%&'*+\-.^_`|~0-9a-zA-Z]+$/.test(name) && name !== ":authority")
        .map(({ name, field }) => errorIssue(`${at}.${side}.${field}`, `${quote(name)} is not a header name`));
    }),
  );
}
