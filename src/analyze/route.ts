// VirtualServices: rules that no request takes, retries that never happen, ports that don't fit.

import { parseDurationMs } from "../api/istio/rules.ts";
import type { HttpMatch, HttpRoute, VirtualService } from "../api/istio/virtual-service.ts";
import { deepEqual } from "../base/equal.ts";
import { refOf } from "../model/finding.ts";
import { resolveHost } from "../model/hosts.ts";
import { type Finding, finding } from "./finding.ts";
import type { World } from "./world.ts";

export const DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
/** Of the conditions, those that a try which ran out of time meets. */
const MEETS_TIMEOUT = ["5xx", "gateway-error", "reset"];

export function analyzeRoutes(world: World): readonly Finding[] {
  return [...world.snapshot.resources.virtualServices.values()].flatMap((resource) => [
    ...(resource.spec.http ?? []).flatMap((route, i) => [
      ...retries(resource, route, i),
      ...ports(resource, route, i, world),
    ]),
    ...unreachable(resource),
    ...onTcpPorts(resource, world),
  ]);
}

function retries(resource: VirtualService, route: HttpRoute, i: number): readonly Finding[] {
  const { perTryTimeout, attempts = 0, retryOn } = route.retries ?? {};
  if (perTryTimeout === undefined || attempts <= 0) return [];
  const at = { resource: refOf(resource), path: `spec.http[${i}].retries.perTryTimeout` };
  const conditions = (retryOn ?? "").split(",").map((each) => each.trim());
  if (!conditions.some((each) => MEETS_TIMEOUT.includes(each))) {
    const has = retryOn === undefined || retryOn === "" ? `the default ${DEFAULT_RETRY_ON}` : retryOn;
    return [
      finding(
        "WEFT0104",
        at,
        `a try that takes longer than ${perTryTimeout} is given up and not retried: retryOn (${has}) has none of ${MEETS_TIMEOUT.join(", ")}. A hanging backend gets one try, and the caller a 504 after ${perTryTimeout}`,
        "Set retryOn: gateway-error,reset,connect-failure,refused-stream.",
      ),
    ];
  }
  const totalMs = parseDurationMs(route.timeout ?? "");
  const tryMs = parseDurationMs(perTryTimeout);
  if (totalMs === undefined || tryMs === undefined || tryMs < totalMs) return [];
  return [
    finding(
      "WEFT0104",
      at,
      `a try may take ${perTryTimeout}, but the whole request only ${route.timeout}: after the first try there is no time for another`,
      `Make perTryTimeout shorter than timeout: with ${attempts + 1} tries, ${Math.floor(totalMs / (attempts + 1))}ms.`,
    ),
  ];
}

function ports(resource: VirtualService, route: HttpRoute, i: number, world: World): readonly Finding[] {
  const { services, mesh } = world.snapshot;
  return (route.route ?? []).flatMap(({ destination }, j) => {
    if (destination.port?.number !== undefined) return [];
    const host = resolveHost(destination.host, resource.metadata.namespace ?? "default", mesh.clusterDomain);
    const numbers = services.get(host)?.ports.map(({ number }) => number) ?? [];
    if (numbers.length < 2) return [];
    const at = { resource: refOf(resource), path: `spec.http[${i}].route[${j}].destination` };
    const message = `This VirtualService routes to a service "${host}" that exposes multiple ports [${numbers.join(" ")}]. Specifying a port in the destination is required to disambiguate.`;
    return [finding("IST0112", at, message, `Set destination.port.number to one of ${numbers.join(", ")}.`)];
  });
}

function unreachable(resource: VirtualService): readonly Finding[] {
  const routes = resource.spec.http ?? [];
  return routes.flatMap((route, i) => {
    const earlier = routes.slice(0, i);
    const at = { resource: refOf(resource), path: `spec.http[${i}]` };
    const name = route.name ?? `#${i}`;
    const all = earlier.findIndex((each) => takesAll(each));
    if (all >= 0) {
      const by = earlier[all]?.name ?? `#${all}`;
      const reason = isOpen(earlier[all]) ? "only the last rule can have no matches" : `rule ${by} takes every request`;
      return [
        finding(
          "IST0130",
          at,
          `VirtualService rule ${name} not used (${reason}).`,
          `Put it before rule ${by}, or remove it.`,
        ),
      ];
    }
    const covered = (route.match ?? []).map((match) => earlier.findIndex((each) => coversAny(each, match)));
    if (covered.length > 0 && covered.every((rule) => rule >= 0)) {
      const message = `VirtualService rule ${name} not used (all matches duplicates or overlapping).`;
      return [finding("IST0130", at, message, "Put it before the rules that cover it, or remove it.")];
    }
    return covered.flatMap((rule, j) =>
      rule < 0
        ? []
        : [
            finding(
              "IST0131",
              { resource: refOf(resource), path: `spec.http[${i}].match[${j}]` },
              `VirtualService rule ${name} match #${j} is not used (duplicate/overlapping match in rule ${routes[rule]?.name ?? `#${rule}`}).`,
              "Remove it, or move the more specific rule up.",
            ),
          ],
    );
  });
}

function isOpen(route: HttpRoute | undefined): boolean {
  return route?.match === undefined || route.match.length === 0;
}

function takesAll(route: HttpRoute): boolean {
  return isOpen(route) || (route.match ?? []).some((match) => uriPrefix(match) === "/");
}

function coversAny(route: HttpRoute, match: HttpMatch): boolean {
  return (route.match ?? []).some((each) => covers(each, match));
}

function covers(earlier: HttpMatch, later: HttpMatch): boolean {
  const strip = ({ name: _name, statPrefix: _prefix, ...rest }: HttpMatch): object => rest;
  if (deepEqual(strip(earlier), strip(later))) return true;
  const prefix = uriPrefix(earlier);
  if (prefix === undefined) return false;
  const wanted = later.ignoreUriCase === true ? undefined : (later.uri?.exact ?? later.uri?.prefix);
  return wanted?.startsWith(prefix) === true;
}

/** The prefix of a match that asks for nothing else. */
function uriPrefix(match: HttpMatch): string | undefined {
  const { name: _name, statPrefix: _prefix, ignoreUriCase: _case, uri, ...rest } = match;
  return Object.values(rest).every((each) => each === undefined) ? uri?.prefix : undefined;
}

function onTcpPorts(resource: VirtualService, world: World): readonly Finding[] {
  if ((resource.spec.http ?? []).length === 0) return [];
  const { services, mesh } = world.snapshot;
  return (resource.spec.hosts ?? []).flatMap((host, i) => {
    const service = services.get(resolveHost(host, resource.metadata.namespace ?? "default", mesh.clusterDomain));
    if (service === undefined || service.ports.length === 0) return [];
    if (service.ports.some(({ protocol }) => protocol !== "tcp")) return [];
    const shown = service.ports.map(({ number, declared }) => `${number} (${declared})`).join(", ");
    return [
      finding(
        "WEFT0110",
        { resource: refOf(resource), path: `spec.hosts[${i}]` },
        `its http routes are never used: every port of ${service.host} is carried as TCP: ${shown}`,
        "Name the port http-… or set appProtocol: http if HTTP/1.1 is spoken there.",
      ),
    ];
  });
}
