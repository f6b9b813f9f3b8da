// What applies to a workload: its identity, mTLS by port, policies, services. Pure.

import type { AuthorizationPolicy, AuthorizationRule } from "../api/istio/authorization-policy.ts";
import { formatSpiffeId } from "../identity/spiffe.ts";
import { selecting } from "../model/by-namespace.ts";
import { formatRef, refOf } from "../model/finding.ts";
import { mtlsOf } from "../model/mtls.ts";
import { analyze } from "./analyze.ts";
import { leaves, valueAt } from "./fields.ts";
import type { Finding } from "./finding.ts";
import { isGateway, type ServerLine, serversOf } from "./gateway.ts";
import { modeOf } from "./peer.ts";
import { servicesOfWorkload, type Workload, type World } from "./world.ts";

export interface MtlsLine {
  /** Absent for all other ports. */
  readonly port: number | undefined;
  readonly mode: string;
  readonly policy: string;
  readonly why: string;
}

export interface PolicyLine {
  readonly policy: string;
  readonly action: string;
  readonly rules: readonly string[];
}

export interface PodDescription {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly sidecar: boolean;
  readonly identity: string;
  readonly containers: readonly string[];
  readonly services: readonly { readonly host: string; readonly ports: readonly string[] }[];
  /** None at a gateway, which takes the mesh's TLS only where a server of it says so. */
  readonly mtls: readonly MtlsLine[];
  /** What a gateway serves. */
  readonly servers: readonly ServerLine[];
  readonly authorization: readonly PolicyLine[];
  readonly findings: readonly Finding[];
}

export function describePod(world: World, pod: Workload): PodDescription {
  const { mesh, mtls, services } = world.snapshot;
  const own = servicesOfWorkload(world, pod).flatMap(
    ({ metadata }) => services.get(`${metadata.name}.${metadata.namespace}.svc.${mesh.clusterDomain}`) ?? [],
  );
  const ports = [...mtlsOf(mtls, pod, mesh).byPort.keys()];
  const policies = describePolicies(world, [pod]);
  const servers = isGateway(pod) ? serversOf(world, pod) : [];
  const lines = isGateway(pod)
    ? []
    : [...ports.map((port) => mtlsLine(world, pod, port)), { ...mtlsLine(world, pod, 0), port: undefined }];
  const involved = new Set([
    formatRef(pod.resource),
    ...own.map(({ namespace, name }) => `Service ${namespace}/${name}`),
    ...policies.map(({ policy }) => policy),
    ...lines.map(({ policy }) => policy),
    ...servers.flatMap(({ server, routes }) => [server.slice(0, server.lastIndexOf(" ")), ...routes]),
  ]);
  return {
    namespace: pod.namespace,
    name: pod.resource.name,
    labels: pod.labels,
    sidecar: pod.hasSidecar === true && !isGateway(pod),
    identity: formatSpiffeId({
      trustDomain: mesh.trustDomain,
      namespace: pod.namespace,
      serviceAccount: pod.serviceAccount,
    }),
    containers: pod.spec.containers.map(({ name }) => name),
    services: own.map((service) => ({
      host: service.host,
      ports: service.ports.map((port) => `${port.number} → ${port.targetPort} ${port.protocol}`),
    })),
    mtls: lines,
    servers,
    authorization: policies,
    findings: analyze(world).filter((each) => involved.has(formatRef(each.resource))),
  };
}

export function mtlsLine(world: World, workload: Workload, port: number): MtlsLine {
  if (workload.hasSidecar === false) {
    const why = `${formatRef(workload.resource)} has no sidecar`;
    return { port, mode: "none: plaintext", policy: "", why };
  }
  const { mode, resource } = modeOf(world, workload, port);
  return {
    port,
    mode,
    policy: resource === undefined ? "" : formatRef(resource),
    why: resource === undefined ? "the default, no PeerAuthentication says otherwise" : formatRef(resource),
  };
}

export function describePolicies(world: World, workloads: readonly Workload[]): readonly PolicyLine[] {
  const { authorization, mesh } = world.snapshot;
  const policies = new Set(workloads.flatMap((workload) => selecting(authorization, workload, mesh)));
  return [...policies].map((policy) => ({
    policy: formatRef(refOf(policy)),
    action: policy.spec?.action ?? "ALLOW",
    rules: describeRules(policy),
  }));
}

function describeRules(policy: AuthorizationPolicy): readonly string[] {
  const rules = policy.spec?.rules ?? [];
  if (rules.length === 0) return ["no rules: matches nothing"];
  return rules.map((rule) => {
    const from = (rule.from ?? []).map(({ source }) => clauses(source)).join(" or ");
    const to = (rule.to ?? []).map(({ operation }) => clauses(operation)).join(" or ");
    const when = (rule.when ?? []).map((each) => describeCondition(each)).join(" and ");
    return [
      `from ${from === "" ? "anyone" : from}`,
      `to ${to === "" ? "anything" : to}`,
      when === "" ? "" : `when ${when}`,
    ]
      .filter((part) => part !== "")
      .join(" ");
  });
}

function clauses(value: object | undefined): string {
  return leaves(value)
    .map((field) => `${field} ${String(valueAt(value, field)).replaceAll(",", ", ")}`)
    .join(", ");
}

function describeCondition(condition: NonNullable<AuthorizationRule["when"]>[number]): string {
  const { key, values, notValues } = condition;
  return [
    key,
    values === undefined ? "" : `in ${values.join(", ")}`,
    notValues === undefined ? "" : `not in ${notValues.join(", ")}`,
  ]
    .filter((part) => part !== "")
    .join(" ");
}
