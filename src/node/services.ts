// The node's view of services: what the provider routes, and which ports lead to a pod.

import type { KubeClient } from "../api/client.ts";
import {
  type Endpoint,
  type EndpointSlice,
  endpointSliceKind,
  SERVICE_NAME_LABEL,
} from "../api/kubernetes/endpoint-slice.ts";
import type { Pod } from "../api/kubernetes/pod.ts";
import { type Service, serviceKind } from "../api/kubernetes/service.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { Followed } from "./followed.ts";
import { SERVICES_DEBOUNCE_MS } from "./limits.ts";
import type { SandboxProvider, ServiceRoute } from "./sandbox.ts";

export class ServiceTable {
  readonly #services: Followed<Service>;
  readonly #slices: Followed<EndpointSlice>;
  readonly #provider: SandboxProvider;
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  #timer: Timer | undefined;

  constructor(client: KubeClient, provider: SandboxProvider, clock: Clock) {
    this.#provider = provider;
    this.#clock = clock;
    const changed = () => {
      this.#changed();
      for (const look of this.#waiting) look();
    };
    this.#services = new Followed(client, serviceKind, changed);
    this.#slices = new Followed(client, endpointSliceKind, changed);
  }

  /** Numeric target ports of the services that select the pod, in the order of their names. */
  targetPortsOf(pod: Pod): readonly number[] {
    const ports: number[] = [];
    for (const service of this.#services.list().toSorted(byName)) {
      const selector = Object.entries(service.spec.selector ?? {});
      const sameNamespace = service.metadata.namespace === pod.metadata.namespace;
      if (!sameNamespace || selector.length === 0) continue;
      if (!selector.every(([key, value]) => pod.metadata.labels?.[key] === value)) continue;
      for (const port of service.spec.ports ?? []) {
        const target = port.targetPort ?? port.port;
        if (typeof target === "number" && !ports.includes(target)) ports.push(target);
      }
    }
    return ports;
  }

  /** Resolves when no service sends new calls to the pod, at the latest after the time; true where one knows the pod. */
  async withdrawn(pod: Pod, timeoutMs: number): Promise<boolean> {
    if (this.#endpointsOf(pod).length === 0) return false;
    await new Promise<void>((resolve) => {
      const finish = () => {
        timer.cancel();
        this.#waiting.delete(look);
        resolve();
      };
      const look = () => {
        if (this.#endpointsOf(pod).every(({ conditions }) => conditions?.ready === false)) finish();
      };
      const timer = this.#clock.after(timeoutMs, finish);
      this.#waiting.add(look);
      look();
    });
    return true;
  }

  #endpointsOf(pod: Pod): readonly Endpoint[] {
    return this.#slices
      .list()
      .filter((slice) => slice.metadata.namespace === pod.metadata.namespace)
      .flatMap((slice) => slice.endpoints.filter(({ targetRef }) => targetRef?.uid === pod.metadata.uid));
  }

  close(): void {
    this.#timer?.cancel();
    this.#services.stop();
    this.#slices.stop();
  }

  #changed(): void {
    this.#timer ??= this.#clock.after(SERVICES_DEBOUNCE_MS, () => {
      this.#timer = undefined;
      this.#provider.setServices(serviceRoutes(this.#services.list(), this.#slices.list()));
    });
  }
}

/** By namespace, then by name. */
function byName({ metadata: a }: Service, { metadata: b }: Service): number {
  return `${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1;
}

function serviceRoutes(services: readonly Service[], slices: readonly EndpointSlice[]): readonly ServiceRoute[] {
  return services
    .filter((service) => service.spec.type !== "ExternalName")
    .map((service) =>
      routeOf(
        service,
        slices.filter((slice) => belongsTo(slice, service)),
      ),
    );
}

function belongsTo(slice: EndpointSlice, service: Service): boolean {
  return (
    slice.metadata.namespace === service.metadata.namespace &&
    slice.metadata.labels?.[SERVICE_NAME_LABEL] === service.metadata.name
  );
}

function routeOf(service: Service, slices: readonly EndpointSlice[]): ServiceRoute {
  const readyOf = (slice: EndpointSlice) =>
    slice.endpoints
      .filter((endpoint) => endpoint.conditions?.ready !== false)
      .flatMap((endpoint) => endpoint.addresses);
  return {
    namespace: service.metadata.namespace ?? "default",
    name: service.metadata.name,
    clusterIP: service.spec.clusterIP ?? "None",
    ports: (service.spec.ports ?? []).map((port) => ({
      port: port.port,
      protocol: port.protocol === "UDP" ? "UDP" : "TCP",
      endpoints: slices.flatMap((slice) => {
        const target = slice.ports?.find((other) => (other.name ?? "") === (port.name ?? ""))?.port;
        return target === undefined ? [] : readyOf(slice).map((ip) => ({ ip, port: target }));
      }),
    })),
    addresses: [...new Set(slices.flatMap(readyOf))],
    hosts: slices.flatMap((slice) => slice.endpoints.flatMap(hostOf)),
  };
}

function hostOf({
  hostname,
  addresses,
  conditions,
}: Endpoint): readonly { readonly name: string; readonly ip: string }[] {
  const [ip] = addresses;
  return hostname === undefined || ip === undefined || conditions?.ready === false ? [] : [{ name: hostname, ip }];
}
