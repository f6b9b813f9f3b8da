// What applies to a service, each part with the resource that says so. Pure.

import type { HttpRoute } from "../api/istio/virtual-service.ts";
import { effectivePolicy, findRule, type HostRule } from "../model/destination.ts";
import { type Endpoint, matchesLabels } from "../model/endpoint.ts";
import { formatRef } from "../model/finding.ts";
import { findRoutes, routesFor } from "../model/routing.ts";
import type { Service, ServicePort } from "../model/service.ts";
import { analyze } from "./analyze.ts";
import { describePolicies, type MtlsLine, mtlsLine, type PolicyLine } from "./describe-workload.ts";
import { overshadowed } from "./destination.ts";
import { leaves, valueAt } from "./fields.ts";
import type { Finding } from "./finding.ts";
import { originOf } from "./origin.ts";
import { DEFAULT_RETRY_ON } from "./route.ts";
import { type Workload, type World, workloadsOfService } from "./world.ts";

export interface FieldLine {
  /** `outlierDetection.interval`. */
  readonly field: string;
  readonly value: unknown;
  readonly from: string;
}

export interface SubsetLine {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly endpoints: readonly string[];
  /** What the subset sets beside or instead of the host's settings. */
  readonly fields: readonly FieldLine[];
}

export interface RouteLine {
  readonly rule: string;
  readonly match: readonly string[];
  readonly destinations: readonly { readonly to: string; readonly percent: number }[];
  readonly action: string | undefined;
  readonly timeout: string;
  readonly retries: string;
}

export interface ServiceDescription {
  readonly host: string;
  readonly namespace: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly ports: readonly {
    readonly number: number;
    readonly name: string;
    readonly targetPort: number | string;
    readonly protocol: string;
    readonly why: string;
  }[];
  readonly mtls: readonly MtlsLine[];
  readonly destinationRule: {
    readonly host: string;
    readonly sources: readonly string[];
    readonly fields: readonly FieldLine[];
    readonly subsets: readonly SubsetLine[];
  } | null;
  readonly notInherited: readonly { readonly rule: string; readonly fields: readonly string[]; readonly why: string }[];
  readonly virtualService: { readonly resource: string; readonly rules: readonly RouteLine[] } | null;
  readonly authorization: readonly PolicyLine[];
  readonly endpoints: readonly { readonly address: string; readonly pod: string; readonly sidecar: boolean }[];
  readonly findings: readonly Finding[];
}

/** As a client in the service's own namespace sees it. */
export function describeService(world: World, service: Service): ServiceDescription {
  const { destinations, mesh, resources, routes } = world.snapshot;
  const { namespace, name, host } = service;
  const call = { clientNamespace: namespace, serviceNamespace: namespace, host };
  const rule = findRule(destinations, call, mesh);
  const routed = findRoutes(routesFor(routes, namespace), host);
  const resource = resources.services.get(`${namespace}/${name}`);
  const workloads = resource === undefined ? [] : workloadsOfService(world, resource);
  const endpoints = endpointsOf(service);
  const policies = describePolicies(world, workloads);
  const hidden = rule === undefined ? [] : overshadowed(world, rule);
  const mtls = service.ports.flatMap((port) => mtlsOfPort(world, workloads, port));
  const involved = new Set([
    `Service ${namespace}/${name}`,
    ...[...(rule?.sources ?? []), ...hidden.flatMap(({ sources }) => sources)].map(formatRef),
    ...(routed === undefined ? [] : [formatRef(routed.resource)]),
    ...policies.map(({ policy }) => policy),
    ...mtls.map(({ policy }) => policy),
    ...workloads.map((each) => formatRef(each.resource)),
  ]);
  return {
    host,
    namespace,
    name,
    addresses: service.addresses,
    ports: service.ports.map((port) => ({
      number: port.number,
      name: port.name,
      targetPort: port.targetPort,
      protocol: port.protocol,
      why: whyProtocol(port),
    })),
    mtls,
    destinationRule: rule === undefined ? null : describeRule(world, rule, service),
    notInherited: hidden.map((each) => ({
      rule: each.sources.map(formatRef).join(", "),
      fields: leaves(each.trafficPolicy),
      why: `its host ${each.host} is less specific than ${rule?.host ?? host}: a rule is replaced, not inherited`,
    })),
    virtualService:
      routed === undefined
        ? null
        : {
            resource: formatRef(routed.resource),
            rules: routed.http.map(({ route, resource: from, rule: path }) => {
              const place = formatRef(from) === formatRef(routed.resource) ? path : `${formatRef(from)} ${path}`;
              return describeRoute(route, place);
            }),
          },
    authorization: policies,
    endpoints: endpoints.map(({ address, port, hasSidecar }) => ({
      address: `${address}:${port}`,
      pod: world.snapshot.pods.byAddress.get(address)?.metadata.name ?? "",
      sidecar: hasSidecar,
    })),
    findings: analyze(world).filter((each) => involved.has(formatRef(each.resource))),
  };
}

function endpointsOf(service: Service): readonly Endpoint[] {
  return [...service.endpoints.values()].flat();
}

function whyProtocol(port: ServicePort): string {
  if (port.protocol === "sniffed") return "the port's name says nothing, so each connection tells";
  if (port.declared === port.protocol) return `declared ${port.declared}`;
  return `declared ${port.declared}, carried as ${port.protocol}`;
}

/** One line for all workloads that agree. */
function mtlsOfPort(world: World, workloads: readonly Workload[], port: ServicePort): readonly MtlsLine[] {
  const target = typeof port.targetPort === "number" ? port.targetPort : port.number;
  const lines = new Map<string, MtlsLine>();
  for (const workload of workloads) {
    const line = mtlsLine(world, workload, target);
    lines.set(`${line.mode} ${line.why}`, { ...line, port: port.number });
  }
  return [...lines.values()];
}

function describeRule(
  world: World,
  rule: HostRule,
  service: Service,
): NonNullable<ServiceDescription["destinationRule"]> {
  const port = service.ports[0]?.number ?? 0;
  const all = effectivePolicy(rule, undefined, port);
  return {
    host: rule.host,
    sources: rule.sources.map(formatRef),
    fields: fieldLines(world, rule, { subset: undefined, policy: all }),
    subsets: rule.subsets.map((subset) => ({
      name: subset.name,
      labels: subset.labels ?? {},
      endpoints: endpointsOf(service)
        .filter(({ labels }) => matchesLabels(subset.labels, labels))
        .map((each) => `${each.address}:${each.port}`),
      fields: fieldLines(world, rule, { subset: subset.name, policy: subset.trafficPolicy ?? {} }),
    })),
  };
}

function fieldLines(
  world: World,
  rule: HostRule,
  of: { readonly subset: string | undefined; readonly policy: object },
): readonly FieldLine[] {
  return leaves(of.policy).map((field) => {
    const origin = originOf(world, rule, { subset: of.subset, field });
    return {
      field,
      value: valueAt(of.policy, field),
      from: origin === undefined ? "port level settings" : formatRef(origin.resource),
    };
  });
}

function describeRoute(route: HttpRoute, place: string): RouteLine {
  const weights = (route.route ?? []).map(({ weight }) => weight ?? 0);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const destinations = (route.route ?? []).map(({ destination }, j) => ({
    to: [destination.host, destination.subset].filter((part) => part !== undefined && part !== "").join(" subset "),
    percent: total === 0 ? 100 : Math.round(((weights[j] ?? 0) / total) * 1_000) / 10,
  }));
  return {
    rule: route.name ?? place,
    match: (route.match ?? []).map(describeMatch),
    destinations,
    action: actionOf(route),
    timeout: route.timeout ?? "none",
    retries: describeRetries(route),
  };
}

function actionOf(route: HttpRoute): string | undefined {
  if (route.redirect !== undefined) return `redirect ${route.redirect.redirectCode ?? 301}`;
  if (route.directResponse !== undefined) return `answer ${route.directResponse.status}`;
  if (route.delegate !== undefined) return `delegate to ${route.delegate.namespace ?? ""}/${route.delegate.name ?? ""}`;
  return undefined;
}

function describeMatch(match: NonNullable<HttpRoute["match"]>[number]): string {
  const parts = leaves(match).map(
    (path) => `${path.replace(/\.(exact|prefix|regex)$/, " $1")} ${valueAt(match, path)}`,
  );
  return parts.length === 0 ? "every request" : parts.join(", ");
}

const DEFAULT_ATTEMPTS = 2;

function describeRetries({ retries }: HttpRoute): string {
  if (retries === undefined) return `${DEFAULT_ATTEMPTS} (default) on ${DEFAULT_RETRY_ON}`;
  const attempts = retries.attempts ?? 0;
  if (attempts <= 0) return "none";
  const isDefault = retries.retryOn === undefined || retries.retryOn === "";
  const on = isDefault ? `${DEFAULT_RETRY_ON} (default)` : (retries.retryOn ?? "");
  return `${attempts}${retries.perTryTimeout === undefined ? "" : `, ${retries.perTryTimeout} a try`}, on ${on}`;
}
