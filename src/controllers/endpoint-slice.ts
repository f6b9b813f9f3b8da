// EndpointSlices: the addresses of the pods behind each Service with a selector.

import { type EndpointSlice, endpointSliceKind, SERVICE_NAME_LABEL } from "../api/kubernetes/endpoint-slice.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import { type Service, serviceKind } from "../api/kubernetes/service.ts";
import { deepEqual } from "../base/equal.ts";
import { type Controller, type ControllerContext, failed, isRace, runController } from "./controller.ts";
import { generatedName } from "./names.ts";
import { controllerReference, keyOf, refOf } from "./owner.ts";
import { contentsOf, hasAddress, type SliceContents, selects } from "./slice-contents.ts";
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

/** Keeps slices whose ports fit, changes what differs, makes what is missing, removes what is left over. */
async function apply(
  service: Service,
  { wanted, present }: { readonly wanted: readonly SliceContents[]; readonly present: readonly EndpointSlice[] },
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
  contents: SliceContents,
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
