// EndpointSlices: the addresses of the pods behind each Service with a selector.

import {
  type Endpoint,
  type EndpointPort,
  type EndpointSlice,
  endpointSliceKind,
  SERVICE_NAME_LABEL,
} from "../api/kubernetes/endpoint-slice.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import { type Service, type ServicePort, serviceKind } from "../api/kubernetes/service.ts";
import { canonicalJson, deepEqual } from "../base/equal.ts";
import { type Controller, type ControllerContext, failed, isRace, runController } from "./controller.ts";
import { ENDPOINTS_PER_SLICE_MAX } from "./limits.ts";
import { generatedName } from "./names.ts";
import { controllerReference, keyOf, matchesSelector, refOf } from "./owner.ts";
import { isFinished, isReady } from "./pod-state.ts";
import { DONE, type Outcome } from "./work-queue.ts";

const MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by";
const MANAGER = "endpointslice-controller.k8s.io";
const HEADLESS_LABEL = "service.kubernetes.io/headless";

export function startEndpointSlices(context: ControllerContext): Controller {
  /** Selectors of all services, to know which of them a pod's change concerns. */
  const services = new Map<string, Service>();
  const podLabels = new Map<string, Pod["metadata"]["labels"]>();
  return runController(context, {
    name: "endpointslice",
    feed: (feed) => {
      feed.watch(serviceKind, (service, change) => {
        if (change === "deleted") services.delete(keyOf(service));
        else services.set(keyOf(service), service);
        return [keyOf(service)];
      });
      feed.watch(podKind, (pod, change) => {
        // A pod whose labels changed may have left a service.
        const before = podLabels.get(keyOf(pod));
        if (change === "deleted") podLabels.delete(keyOf(pod));
        else podLabels.set(keyOf(pod), pod.metadata.labels);
        const concerned = [...services.values()].filter(
          (service) =>
            service.metadata.namespace === pod.metadata.namespace &&
            (selects(service, pod.metadata.labels) || selects(service, before)),
        );
        return concerned.map(keyOf);
      });
      feed.watch(endpointSliceKind, (slice) => {
        const service = slice.metadata.labels?.[SERVICE_NAME_LABEL];
        return service === undefined ? [] : [`${slice.metadata.namespace ?? ""}/${service}`];
      });
    },
    reconcile: (key) => reconcile(key, context),
  });
}

function selects(service: Service, labels: Pod["metadata"]["labels"]): boolean {
  const selector = service.spec.selector ?? {};
  return Object.keys(selector).length > 0 && matchesSelector({ matchLabels: selector }, labels);
}

async function reconcile(key: string, context: ControllerContext): Promise<Outcome> {
  const { client } = context;
  const ref = refOf(key);
  const found = await client.get(serviceKind, ref);
  // A removed service's slices are its dependents: garbage collection takes them.
  if (!found.ok) return found.error.code === 404 ? DONE : failed("reading the Service", found.error);
  const service = found.value;
  if (Object.keys(service.spec.selector ?? {}).length === 0 || service.spec.type === "ExternalName") return DONE;
  const scope = ref.namespace === undefined ? {} : { namespace: ref.namespace };
  const pods = await client.list(podKind, scope);
  if (!pods.ok) return failed("listing pods", pods.error);
  const slices = await client.list(endpointSliceKind, {
    ...scope,
    labelSelector: `${SERVICE_NAME_LABEL}=${ref.name},${MANAGED_BY_LABEL}=${MANAGER}`,
  });
  if (!slices.ok) return failed("listing EndpointSlices", slices.error);
  const members = pods.value.filter((pod) => selects(service, pod.metadata.labels) && hasAddress(pod));
  return apply(service, { wanted: contentsOf(service, members), present: slices.value }, context);
}

interface Contents {
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

function hasAddress(pod: Pod): boolean {
  return pod.status?.podIP !== undefined && !isFinished(pod);
}

/** One slice for each set of ports (a named port may have another number in another pod), cut where it gets too long. */
function contentsOf(service: Service, pods: readonly Pod[]): readonly Contents[] {
  const groups = new Map<string, { readonly ports: readonly EndpointPort[]; readonly endpoints: Endpoint[] }>();
  const sorted = [...pods].sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  for (const pod of sorted) {
    const ports = portsFor(service, pod);
    const key = canonicalJson(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    group.endpoints.push(endpointOf(service, pod));
    groups.set(key, group);
  }
  if (groups.size === 0) return [{ ports: portsFor(service, undefined), endpoints: [] }];
  return [...groups.values()].flatMap(({ ports, endpoints }) => {
    const parts: Contents[] = [];
    for (let start = 0; start < endpoints.length; start += ENDPOINTS_PER_SLICE_MAX) {
      parts.push({ ports, endpoints: endpoints.slice(start, start + ENDPOINTS_PER_SLICE_MAX) });
    }
    return parts;
  });
}

function portsFor(service: Service, pod: Pod | undefined): readonly EndpointPort[] {
  const ports: EndpointPort[] = [];
  for (const port of service.spec.ports ?? []) {
    const number = targetOf(port, pod);
    if (number === undefined) continue;
    ports.push({
      name: port.name ?? "",
      protocol: port.protocol ?? "TCP",
      port: number,
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    });
  }
  return ports;
}

function targetOf(port: ServicePort, pod: Pod | undefined): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === "number") return target === 0 ? port.port : target;
  const containers = [...(pod?.spec.containers ?? []), ...(pod?.spec.initContainers ?? [])];
  for (const container of containers) {
    const named = container.ports?.find(
      (other) => other.name === target && (other.protocol ?? "TCP") === (port.protocol ?? "TCP"),
    );
    if (named !== undefined) return named.containerPort;
  }
  return /^\d+$/.test(target) ? Number(target) : undefined;
}

function endpointOf(service: Service, pod: Pod): Endpoint {
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = isReady(pod);
  const { hostname, nodeName, subdomain } = pod.spec;
  return {
    addresses: pod.status?.podIP === undefined ? [] : [pod.status.podIP],
    conditions: {
      ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
      serving: service.spec.publishNotReadyAddresses === true || serving,
      terminating,
    },
    ...(hostname !== undefined && subdomain === service.metadata.name ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: {
      kind: "Pod",
      name: pod.metadata.name,
      ...(pod.metadata.namespace === undefined ? {} : { namespace: pod.metadata.namespace }),
      ...(pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid }),
    },
  };
}

/** Keeps slices whose ports fit, changes what differs, makes what is missing, removes what is left over. */
async function apply(
  service: Service,
  { wanted, present }: { readonly wanted: readonly Contents[]; readonly present: readonly EndpointSlice[] },
  context: ControllerContext,
): Promise<Outcome> {
  const { client } = context;
  const unused = [...present].sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  for (const contents of wanted) {
    const fitting = unused.findIndex((slice) => deepEqual(slice.ports ?? [], contents.ports));
    const [slice] = unused.splice(fitting < 0 ? 0 : fitting, 1);
    const target = sliceOf(service, contents, slice, context);
    if (slice !== undefined && sameSlice(slice, target)) continue;
    const written =
      slice === undefined
        ? await client.create(endpointSliceKind, target)
        : await client.update(endpointSliceKind, target);
    if (!written.ok) return failed("writing an EndpointSlice", written.error);
  }
  for (const slice of unused) {
    const removed = await client.remove(endpointSliceKind, refOf(keyOf(slice)));
    if (!removed.ok && !isRace(removed.error)) return failed("removing an EndpointSlice", removed.error);
  }
  return DONE;
}

function sliceOf(
  service: Service,
  contents: Contents,
  present: EndpointSlice | undefined,
  context: ControllerContext,
): EndpointSlice {
  const prefix = `${service.metadata.name}-`;
  const { metadata } = service;
  const headless = service.spec.clusterIP === "None" ? { [HEADLESS_LABEL]: "" } : {};
  const kept = present?.metadata ?? {
    name: generatedName(prefix, context.random),
    generateName: prefix,
    ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
  };
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      ...kept,
      labels: { ...metadata.labels, [SERVICE_NAME_LABEL]: metadata.name, [MANAGED_BY_LABEL]: MANAGER, ...headless },
      ownerReferences: [controllerReference(service)],
    },
    addressType: "IPv4",
    endpoints: contents.endpoints,
    ports: contents.ports,
  };
}

function sameSlice(a: EndpointSlice, b: EndpointSlice): boolean {
  return (
    deepEqual(a.endpoints, b.endpoints) &&
    deepEqual(a.ports ?? [], b.ports ?? []) &&
    deepEqual(a.metadata.labels, b.metadata.labels) &&
    deepEqual(a.metadata.ownerReferences, b.metadata.ownerReferences)
  );
}
