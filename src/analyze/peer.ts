// PeerAuthentication: policies that select nobody, and who is left outside where mTLS is STRICT.

import { effectivePolicy, findRule } from "../model/destination.ts";
import { formatRef, refOf } from "../model/finding.ts";
import { modeOfPort, mtlsOf, type PortMode } from "../model/mtls.ts";
import { type Finding, finding } from "./finding.ts";
import { originOf } from "./origin.ts";
import { selectedWorkloads, type Workload, type World, workloadsOfService } from "./world.ts";

export function analyzePeers(world: World): readonly Finding[] {
  return [...selectors(world), ...withoutSidecar(world), ...plaintextClients(world), ...openPorts(world)];
}

export function modeOf(world: World, workload: Workload, port: number): PortMode {
  return modeOfPort(mtlsOf(world.snapshot.mtls, workload, world.snapshot.mesh), port);
}

export function noWorkloads(
  resource: Finding["resource"],
  labels: Readonly<Record<string, string>> | undefined,
  world: World,
): readonly Finding[] {
  if (labels === undefined || Object.keys(labels).length === 0 || world.workloads.length === 0) return [];
  if (selectedWorkloads(world, resource.namespace, labels).length > 0) return [];
  const text = Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
  return [
    finding(
      "IST0127",
      { resource, path: "spec.selector.matchLabels" },
      `No matching workloads for this resource with the following labels: ${text}`,
      `Correct the labels; kubectl get pods -n ${resource.namespace} --show-labels shows what there is.`,
    ),
  ];
}

function selectors(world: World): readonly Finding[] {
  return [...world.snapshot.resources.peerAuthentications.values()].flatMap((policy) =>
    noWorkloads(refOf(policy), policy.spec?.selector?.matchLabels, world),
  );
}

function withoutSidecar(world: World): readonly Finding[] {
  return world.workloads.flatMap((workload) => {
    if (workload.hasSidecar !== false) return [];
    const { general } = mtlsOf(world.snapshot.mtls, workload, world.snapshot.mesh);
    if (general.mode !== "STRICT" || general.resource === undefined) return [];
    if (workload.namespace === world.snapshot.mesh.rootNamespace || workload.namespace.startsWith("kube-")) return [];
    return [
      finding(
        "WEFT0204",
        { resource: workload.resource, path: "" },
        `it has no sidecar: ${formatRef(general.resource)} (STRICT) can't protect its ports, which take plaintext, and its own plaintext calls to STRICT workloads are refused`,
        `Label the namespace istio-injection=enabled and restart it, or give the ports it calls portLevelMtls PERMISSIVE.`,
      ),
    ];
  });
}

/** A rule that makes clients speak plaintext to ports that refuse it. */
function plaintextClients(world: World): readonly Finding[] {
  const { services, destinations, mesh, resources } = world.snapshot;
  const seen = new Set<string>();
  return [...services.values()].flatMap((service) => {
    const call = { clientNamespace: service.namespace, serviceNamespace: service.namespace, host: service.host };
    const rule = findRule(destinations, call, mesh);
    const resource = resources.services.get(`${service.namespace}/${service.name}`);
    if (rule === undefined || resource === undefined) return [];
    const workloads = workloadsOfService(world, resource).filter(({ hasSidecar }) => hasSidecar !== false);
    return service.ports.flatMap((port) => {
      const mode = effectivePolicy(rule, undefined, port.number).tls?.mode;
      if (mode !== "DISABLE" && mode !== "SIMPLE") return [];
      const target = typeof port.targetPort === "number" ? port.targetPort : port.number;
      const strict = workloads.map((each) => modeOf(world, each, target)).find((each) => each.mode === "STRICT");
      const at = originOf(world, rule, { subset: undefined, field: "tls.mode" });
      if (strict?.resource === undefined || at === undefined) return [];
      const key = `${formatRef(at.resource)} ${service.host} ${port.number}`;
      if (seen.has(key)) return [];
      seen.add(key);
      return [
        finding(
          "WEFT0206",
          at,
          `clients send ${mode === "DISABLE" ? "plaintext" : "TLS without the mesh's certificate"} to ${service.host}:${port.number}, which ${formatRef(strict.resource)} (STRICT) refuses`,
          "Remove tls, since mTLS is automatic between sidecars, or set mode: ISTIO_MUTUAL.",
        ),
      ];
    });
  });
}

/** Ports that a policy leaves open where everything around them is STRICT. */
function openPorts(world: World): readonly Finding[] {
  const { mtls, mesh, resources } = world.snapshot;
  return [...resources.peerAuthentications.values()].flatMap((policy) => {
    const { portLevelMtls, selector, mtls: own } = policy.spec ?? {};
    const resource = refOf(policy);
    const around = mtlsOf(mtls, { namespace: resource.namespace, labels: selector?.matchLabels ?? {} }, mesh).general;
    const general = own?.mode === undefined || own.mode === "UNSET" ? around.mode : own.mode;
    if (general !== "STRICT") return [];
    return Object.entries(portLevelMtls ?? {}).flatMap(([port, { mode }]) =>
      mode === "PERMISSIVE" || mode === "DISABLE"
        ? [
            finding(
              "WEFT0208",
              { resource, path: `spec.portLevelMtls[${port}].mode` },
              `port ${port} takes plaintext (${mode}), from whoever reaches it, while the workload is STRICT otherwise`,
              "Remove the port once its callers have sidecars; until then an AuthorizationPolicy with ipBlocks narrows who may call it.",
            ),
          ]
        : [],
    );
  });
}
