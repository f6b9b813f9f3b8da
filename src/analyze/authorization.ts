// AuthorizationPolicies: rules that no request can meet, and what their author may have meant.

import type { AuthorizationPolicy, AuthorizationRule } from "../api/istio/authorization-policy.ts";
import { formatRef, refOf } from "../model/finding.ts";
import { list } from "./fields.ts";
import { type Finding, finding } from "./finding.ts";
import { impossibleRules } from "./impossible.ts";
import { modeOf, noWorkloads } from "./peer.ts";
import { selectedWorkloads, servicesOfWorkload, type Workload, type World } from "./world.ts";

type Source = NonNullable<NonNullable<AuthorizationRule["from"]>[number]["source"]>;

export function analyzeAuthorization(world: World): readonly Finding[] {
  return [...world.snapshot.resources.authorizationPolicies.values()].flatMap((policy) => {
    const resource = refOf(policy);
    const labels = policy.spec?.selector?.matchLabels;
    const context: Context = {
      world,
      policy,
      resource,
      action: policy.spec?.action ?? "ALLOW",
      workloads: selectedWorkloads(world, resource.namespace, labels),
    };
    const rules = policy.spec?.rules ?? [];
    return [
      ...noWorkloads(resource, labels, world),
      ...noRules(context),
      ...impossibleRules(policy, world),
      ...rules.flatMap((rule, i) => [...sources(rule, i, context), ...onTcpPorts(rule, i, context)]),
    ];
  });
}

interface Context {
  readonly world: World;
  readonly policy: AuthorizationPolicy;
  readonly resource: Finding["resource"];
  readonly action: string;
  readonly workloads: readonly Workload[];
}

function noRules({ policy, resource, action }: Context): readonly Finding[] {
  if (action !== "DENY" || policy.spec?.rules !== undefined) return [];
  const message = "The policy has no impact: a DENY policy without rules matches no request.";
  return [finding("IST0167", { resource, path: "spec.rules" }, message, "Add a rule; [{}] matches every request.")];
}

function sources(rule: AuthorizationRule, i: number, context: Context): readonly Finding[] {
  return (rule.from ?? []).flatMap(({ source }, j) => {
    if (source === undefined) return [];
    const path = `spec.rules[${i}].from[${j}].source`;
    return [...withoutIdentity(source, { path, rule, context }), ...foreignPrincipals(source, { path, rule, context })];
  });
}

interface SourcePlace {
  readonly path: string;
  readonly rule: AuthorizationRule;
  readonly context: Context;
}

/** Namespaces come from the caller's certificate: who has no sidecar has none, so the rule can't let him in. */
function withoutIdentity(source: Source, { path, rule, context }: SourcePlace): readonly Finding[] {
  const { world, resource, action, workloads } = context;
  const named = source.namespaces ?? [];
  if (action !== "ALLOW" || named.length === 0 || !named.every((each) => isWithoutSidecars(each, world))) return [];
  const ports = [...new Set((rule.to ?? []).flatMap(({ operation }) => operation?.ports ?? []))];
  const at = { resource, path: `${path}.namespaces` };
  const [workload] = workloads;
  const mode = workload === undefined ? undefined : modeOf(world, workload, Number(ports[0] ?? 0));
  const place = ports.length === 0 ? "it" : `port ${ports.join(", ")}`;
  const strict =
    mode?.mode === "STRICT"
      ? `, and ${mode.resource === undefined ? "STRICT" : `${formatRef(mode.resource)} (STRICT)`} closes plaintext connections before any rule is asked`
      : "";
  const labels = Object.entries(context.policy.spec?.selector?.matchLabels ?? {}).map(
    ([key, value]) => `${key}: ${value}`,
  );
  const selector = labels.length === 0 ? "a selector" : `selector {${labels.join(", ")}}`;
  const level = `{${ports.length === 0 ? "PORT" : ports.map((port) => `"${port}": {mode: PERMISSIVE}`).join(", ")}}`;
  return [
    finding(
      "WEFT0201",
      at,
      `it bypasses no mTLS and lets nobody in: namespaces is read from the caller's mTLS certificate, nothing in ${list(named)} has a sidecar to hold one${strict}`,
      `To let plaintext reach ${place}: a PeerAuthentication with ${selector} and portLevelMtls ${level}, and here a rule for the port without from. The kubelet's probes need neither: they are sent to the sidecar's port 15020.`,
    ),
  ];
}

function isWithoutSidecars(namespace: string, world: World): boolean {
  const { mesh } = world.snapshot;
  const own = world.workloads.filter((each) => each.namespace === namespace);
  if (own.length > 0) return own.every(({ hasSidecar }) => hasSidecar === false);
  return namespace === mesh.rootNamespace || namespace === "kube-system";
}

function foreignPrincipals(source: Source, { path, context }: SourcePlace): readonly Finding[] {
  const { world, resource, action } = context;
  const { mesh } = world.snapshot;
  const domains = [mesh.trustDomain, "cluster.local", ...mesh.trustDomainAliases];
  return (source.principals ?? []).flatMap((principal, k) => {
    const parts = /^([^/*]+)\/ns\/([^/*]+)\/sa\/([^/*]+)$/.exec(principal);
    const at = { resource, path: `${path}.principals[${k}]` };
    if (principal.startsWith("spiffe://")) {
      return [
        finding(
          "WEFT0202",
          at,
          `no caller is called ${principal}: principals are written without spiffe://`,
          `Write ${principal.slice("spiffe://".length)}.`,
        ),
      ];
    }
    const [, domain = "", namespace = "", account = ""] = parts ?? [];
    if (parts === null) return [];
    if (!domains.includes(domain)) {
      const message = `no caller has this name: the mesh's trust domain is ${mesh.trustDomain}, not ${domain}`;
      return [finding("WEFT0202", at, message, `Write ${mesh.trustDomain}/ns/${namespace}/sa/${account}.`)];
    }
    const runs = world.workloads.some((each) => each.namespace === namespace && each.serviceAccount === account);
    if (runs || action !== "ALLOW" || world.workloads.length === 0) return [];
    return [
      finding(
        "WEFT0205",
        at,
        `no workload here runs as service account ${namespace}/${account}, so this lets nobody in yet`,
        `Set spec.serviceAccountName: ${account} on the caller's pods, or correct the name.`,
      ),
    ];
  });
}

const HTTP_FIELDS = ["methods", "notMethods", "paths", "notPaths", "hosts", "notHosts"] as const;

function onTcpPorts(rule: AuthorizationRule, i: number, context: Context): readonly Finding[] {
  const { world, resource, action, workloads } = context;
  return (rule.to ?? []).flatMap(({ operation }, j) => {
    const fields = HTTP_FIELDS.filter((field) => operation?.[field] !== undefined);
    if (fields.length === 0) return [];
    const wanted = operation?.ports ?? [];
    const tcp = tcpPorts(workloads, world).filter((port) => wanted.length === 0 || wanted.includes(String(port)));
    if (tcp.length === 0) return [];
    const effect =
      action === "ALLOW"
        ? "an ALLOW rule with them never matches there, so requests are refused"
        : `a ${action} rule with them can't look into the connection there`;
    return [
      finding(
        "WEFT0203",
        { resource, path: `spec.rules[${i}].to[${j}].operation.${fields[0]}` },
        `${list(fields)} can't be read on port ${tcp.join(", ")}, which a Service declares as TCP: ${effect}`,
        "Name the Service's port http-… if it speaks HTTP, or write a rule with ports only.",
      ),
    ];
  });
}

/** Workload ports whose Service carries them as TCP. */
function tcpPorts(workloads: readonly Workload[], world: World): readonly number[] {
  const ports = workloads.flatMap((workload) =>
    servicesOfWorkload(world, workload).flatMap(({ metadata }) => {
      const service = world.snapshot.services.get(
        `${metadata.name}.${metadata.namespace}.svc.${world.snapshot.mesh.clusterDomain}`,
      );
      return (service?.ports ?? []).flatMap(({ protocol, targetPort }) =>
        protocol === "tcp" && typeof targetPort === "number" ? [targetPort] : [],
      );
    }),
  );
  return [...new Set(ports)];
}
