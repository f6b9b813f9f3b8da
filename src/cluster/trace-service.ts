// The trace store as a Service, and as what stands in for tracing backends that are not there: a Service such as `jaeger` in
// the root namespace that selects pods leads to the store until there is one.

import type { ApiError, KubeClient } from "../api/client.ts";
import {
  type EndpointPort,
  type EndpointSlice,
  endpointSliceKind,
  SERVICE_NAME_LABEL,
} from "../api/kubernetes/endpoint-slice.ts";
import { type Service, type ServicePort, serviceKind } from "../api/kubernetes/service.ts";
import { deepEqual } from "../base/equal.ts";
import { SerialRun } from "../control/serial-run.ts";
import { TRACE_STORE_LABEL, TRACE_STORE_NAMES } from "../model/trace-target.ts";
import { USUAL_PORTS } from "../traces/store.ts";
import type { TracePorts } from "../traces/thread-wire.ts";

const NAMESPACE = "istio-system";
const TRACE_SERVICE = "weft-traces";
const MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by";
const MANAGER = "weft-traces";

export interface TraceServiceOptions {
  readonly client: KubeClient;
  readonly address: string;
  readonly ports: TracePorts;
  readonly warn: (message: string) => void;
}

export interface TraceService {
  stop(): void;
}

export function keepTraceService(options: TraceServiceOptions): TraceService {
  const { client, warn } = options;
  const keeper = new Keeper(options);
  const run = new SerialRun(async () => {
    const failure = await keeper.reconcile();
    if (failure !== undefined && !run.isStopped) warn(`the trace store's Service: ${failure.message}`);
  });
  const touched = (name: string | undefined): void => {
    if (name === TRACE_SERVICE || TRACE_STORE_NAMES.includes(name ?? "")) run.trigger();
  };
  const watches = [
    client.watch(serviceKind, { namespace: NAMESPACE }, (event) => {
      if (event.type === "synced") run.trigger();
      else touched(event.object.metadata.name);
    }),
    client.watch(endpointSliceKind, { namespace: NAMESPACE }, (event) => {
      if (event.type !== "synced") touched(event.object.metadata.labels?.[SERVICE_NAME_LABEL]);
    }),
  ];
  return {
    stop: () => {
      run.stop();
      for (const watch of watches) watch.stop();
    },
  };
}

const KNOWN: readonly (EndpointPort & { readonly usual: number; readonly of: keyof TracePorts })[] = [
  { name: "grpc-otlp", usual: USUAL_PORTS.otlpGrpc, protocol: "TCP", of: "otlpGrpc" },
  { name: "http-otlp", usual: USUAL_PORTS.otlpHttp, protocol: "TCP", of: "otlpHttp" },
  { name: "http-zipkin", usual: USUAL_PORTS.zipkin, protocol: "TCP", of: "zipkin" },
  { name: "udp-jaeger", usual: USUAL_PORTS.jaeger, protocol: "UDP", of: "jaeger" },
];

class Keeper {
  readonly #options: TraceServiceOptions;

  constructor(options: TraceServiceOptions) {
    this.#options = options;
  }

  async reconcile(): Promise<ApiError | undefined> {
    const own = await this.#ensureService();
    if (own !== undefined) return own;
    for (const name of [TRACE_SERVICE, ...TRACE_STORE_NAMES]) {
      const failure = await this.#reconcileSlice(name);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  async #ensureService(): Promise<ApiError | undefined> {
    const found = await this.#options.client.get(serviceKind, { namespace: NAMESPACE, name: TRACE_SERVICE });
    if (found.ok) return undefined;
    const service: Service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: TRACE_SERVICE, namespace: NAMESPACE, labels: { [TRACE_STORE_LABEL]: "true" } },
      spec: {
        ports: KNOWN.map(({ name = "", usual, protocol, of }): ServicePort => {
          const targetPort = this.#options.ports[of];
          return { name, port: usual, targetPort, protocol: protocol === "UDP" ? "UDP" : "TCP" };
        }),
      },
    };
    return failureOf(await this.#options.client.create(serviceKind, service));
  }

  /** Of the store's own Service always; of a backend's as long as nothing else is behind it. */
  async #reconcileSlice(serviceName: string): Promise<ApiError | undefined> {
    const { client } = this.#options;
    const service = await client.get(serviceKind, { namespace: NAMESPACE, name: serviceName });
    // Its slices are its dependents, or go with the next look.
    const slices = await client.list(endpointSliceKind, {
      namespace: NAMESPACE,
      labelSelector: `${SERVICE_NAME_LABEL}=${serviceName}`,
    });
    if (!slices.ok) return slices.error;
    const ours = slices.value.find(({ metadata }) => metadata.labels?.[MANAGED_BY_LABEL] === MANAGER);
    const others = slices.value.filter((slice) => slice !== ours);
    const wanted = service.ok ? this.#slice(service.value, others) : undefined;
    if (wanted === undefined) {
      if (ours === undefined) return undefined;
      return failureOf(await client.remove(endpointSliceKind, { namespace: NAMESPACE, name: ours.metadata.name }));
    }
    if (ours === undefined) return failureOf(await client.create(endpointSliceKind, wanted));
    const { ports, endpoints } = wanted;
    if (deepEqual(ours.ports, ports) && deepEqual(ours.endpoints, endpoints)) return undefined;
    const ref = { namespace: NAMESPACE, name: ours.metadata.name };
    return failureOf(await client.mergePatch(endpointSliceKind, ref, { body: { ports, endpoints } }));
  }

  #slice({ metadata, spec }: Service, others: readonly EndpointSlice[]): EndpointSlice | undefined {
    const isOwn = metadata.labels?.[TRACE_STORE_LABEL] === "true";
    const selects = Object.keys(spec.selector ?? {}).length > 0 && spec.type !== "ExternalName";
    // A pod that is not ready yet is a backend already.
    const isServed = others.some(({ endpoints }) => endpoints.length > 0);
    if (isServed || (!isOwn && !selects)) return undefined;
    const ports = (spec.ports ?? []).flatMap((port): readonly EndpointPort[] => {
      const protocol = port.protocol ?? "TCP";
      const known = KNOWN.find((each) => each.usual === port.port && each.protocol === protocol);
      if (known === undefined) return [];
      return [{ name: port.name ?? "", port: this.#options.ports[known.of], protocol }];
    });
    if (ports.length === 0) return undefined;
    return {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        name: `${metadata.name}-store`,
        namespace: NAMESPACE,
        labels: { [SERVICE_NAME_LABEL]: metadata.name, [MANAGED_BY_LABEL]: MANAGER },
      },
      addressType: "IPv4",
      ports,
      endpoints: [{ addresses: [this.#options.address], conditions: { ready: true } }],
    };
  }
}

/** What somebody else has done meanwhile is looked at again, since a change was told. */
function failureOf(
  done: { readonly ok: true } | { readonly ok: false; readonly error: ApiError },
): ApiError | undefined {
  if (done.ok || ["AlreadyExists", "NotFound", "Conflict"].includes(done.error.reason)) return undefined;
  return done.error;
}
