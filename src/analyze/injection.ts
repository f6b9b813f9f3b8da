// Who has a sidecar, who should, and who brings his own.

import { refOf } from "../model/finding.ts";
import { type Finding, finding } from "./finding.ts";
import { isInjected, type Workload, type World } from "./world.ts";

const PROXY_CONTAINER = "istio-proxy";
const PROXY_UID = 1337;

export function analyzeInjection(world: World): readonly Finding[] {
  return [
    ...namespaces(world),
    ...world.pods.flatMap((pod) => missingProxy(pod, world)),
    ...world.workloads.flatMap((workload) => [...ownProxy(workload), ...reservedUser(workload)]),
  ];
}

function namespaces(world: World): readonly Finding[] {
  return [...world.snapshot.resources.namespaces.values()].flatMap((namespace) => {
    const { name, labels = {} } = namespace.metadata;
    const at = { resource: refOf(namespace), path: "metadata.labels" };
    if (labels["istio-injection"] !== undefined && labels["istio.io/rev"] !== undefined) {
      return [
        finding(
          "IST0123",
          at,
          `The namespace has more than one type of injection labels [istio-injection istio.io/rev], which may lead to undefined behavior. Make sure only one injection label exists.`,
          "istio-injection decides.",
        ),
      ];
    }
    const isMarked = labels["istio-injection"] !== undefined || labels["istio.io/rev"] !== undefined;
    const hasWorkloads = world.workloads.some((each) => each.namespace === name);
    const isSystem = name.startsWith("kube-") || name === world.snapshot.mesh.rootNamespace;
    if (isMarked || isSystem || !hasWorkloads) return [];
    return [
      finding(
        "IST0102",
        at,
        `The namespace is not enabled for Istio injection. Run 'kubectl label namespace ${name} istio-injection=enabled' to enable it, or 'kubectl label namespace ${name} istio-injection=disabled' to explicitly mark it as not needing injection.`,
      ),
    ];
  });
}

function missingProxy(workload: Workload, world: World): readonly Finding[] {
  if (!workload.isRunning || workload.hasSidecar !== false || workload.spec.hostNetwork === true) return [];
  const namespace = world.snapshot.resources.namespaces.get(`/${workload.namespace}`);
  const wish = workload.labels["sidecar.istio.io/inject"] ?? workload.annotations["sidecar.istio.io/inject"];
  if (!isInjected(namespace?.metadata.labels) || wish === "false") return [];
  return [
    finding(
      "IST0103",
      { resource: workload.resource, path: "" },
      `The pod ${workload.resource.name} is missing the Istio proxy. This can often be resolved by restarting or redeploying the workload.`,
      `kubectl delete pod ${workload.resource.name} -n ${workload.namespace}, and create it anew.`,
    ),
  ];
}

function ownProxy(workload: Workload): readonly Finding[] {
  const templates = workload.annotations["inject.istio.io/templates"] ?? "";
  if (workload.isRunning || templates.split(",").includes("gateway")) return [];
  const at = workload.spec.containers.findIndex(({ name }) => name === PROXY_CONTAINER);
  if (at < 0) return [];
  const image = workload.spec.containers[at]?.image ?? "auto";
  const path = `${workload.specPath}.containers[${at}]`;
  if (workload.hasSidecar === false) {
    return [
      finding(
        "WEFT0401",
        { resource: workload.resource, path },
        `a container ${PROXY_CONTAINER} is there, but nothing injects this pod: it runs alone, without identity or configuration`,
        "Label the namespace istio-injection=enabled, or remove the container.",
      ),
    ];
  }
  return [
    finding(
      "WEFT0401",
      { resource: workload.resource, path },
      `the pod brings its own container ${PROXY_CONTAINER}: injection merges it field by field over the template, and on the local cluster it runs weft's proxy, not ${image}`,
      "Remove the container unless a field of it is meant to override the template.",
    ),
  ];
}

function reservedUser(workload: Workload): readonly Finding[] {
  return workload.spec.containers.flatMap((container, i) => {
    if (container.name === PROXY_CONTAINER || container.securityContext?.runAsUser !== PROXY_UID) return [];
    const path = `${workload.specPath}.containers[${i}].securityContext.runAsUser`;
    return [
      finding(
        "IST0144",
        { resource: workload.resource, path },
        `User ID (UID) ${PROXY_UID} is reserved for the sidecar proxy.`,
        "Run the application as another user, or its traffic passes by the proxy.",
      ),
    ];
  });
}
