// Sidecars by the workloads that they select, and what one lets its proxies see.

import type { Sidecar } from "../api/istio/sidecar.ts";
import { type ByNamespace, byNamespace, rivalFindings, WHOLE_NAMESPACE } from "./by-namespace.ts";
import { matchesLabels } from "./endpoint.ts";
import type { Finding } from "./finding.ts";
import { hostMatches } from "./hosts.ts";
import type { MeshConfig } from "./mesh-config.ts";
import type { HostRoutes } from "./routing.ts";
import type { Service } from "./service.ts";

export type SidecarIndex = ByNamespace<Sidecar>;

export function indexSidecars(sidecars: Iterable<Sidecar>): {
  readonly index: SidecarIndex;
  readonly findings: readonly Finding[];
} {
  const index = byNamespace(sidecars);
  const findings = rivalFindings(index, "spec.workloadSelector", (sidecar) => {
    const key = selectorKey(sidecar);
    return key === "" ? WHOLE_NAMESPACE : { key, words: "the same workloads" };
  });
  return { index, findings };
}

function labelsOf({ spec }: Sidecar): Readonly<Record<string, string>> {
  return spec?.workloadSelector?.labels ?? {};
}

/** Empty for a default. */
function selectorKey(sidecar: Sidecar): string {
  const labels = Object.entries(labelsOf(sidecar)).sort();
  return labels.length === 0 ? "" : JSON.stringify(labels);
}

/** The one that selects the workload, else its namespace's default, else the mesh's. */
export function sidecarOf(
  index: SidecarIndex,
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  mesh: MeshConfig,
): Sidecar | undefined {
  const own = index.get(workload.namespace) ?? [];
  const selective = own.find((each) => selectorKey(each) !== "" && matchesLabels(labelsOf(each), workload.labels));
  const isDefault = (each: Sidecar): boolean => selectorKey(each) === "";
  return selective ?? own.find(isDefault) ?? (index.get(mesh.rootNamespace) ?? []).find(isDefault);
}

interface EgressHost {
  readonly namespace: string;
  readonly host: string;
  /** Of the listener that it belongs to; undefined: all. */
  readonly port: number | undefined;
}

/** What a Sidecar's `egress` lets through for a proxy of a namespace. Without `egress` that is everything. */
export interface EgressScope {
  routes(all: ReadonlyMap<string, HostRoutes>): ReadonlyMap<string, HostRoutes>;
  /** `routed`: hosts that the routes lead to, which are let through with them. */
  services(all: readonly Service[], routed: ReadonlySet<string>): readonly Service[];
}

const scopes = new WeakMap<Sidecar, Map<string, EgressScope>>();

export function egressScope(sidecar: Sidecar, namespace: string): EgressScope | undefined {
  const egress = sidecar.spec?.egress;
  if (egress === undefined || egress.length === 0) return undefined;
  const known = scopes.get(sidecar) ?? new Map<string, EgressScope>();
  scopes.set(sidecar, known);
  const hosts = egress.flatMap(({ hosts: texts, port }) => texts.map((text) => egressHost(text, port?.number)));
  const scope = known.get(namespace) ?? new Scope(hosts, namespace);
  known.set(namespace, scope);
  return scope;
}

/** `namespace/host`; a host alone is meant in any namespace. */
function egressHost(text: string, port: number | undefined): EgressHost {
  const slash = text.indexOf("/");
  const [namespace, host] = slash < 0 ? ["*", text] : [text.slice(0, slash), text.slice(slash + 1)];
  return { namespace, host: host.toLowerCase(), port };
}

class Scope implements EgressScope {
  readonly #hosts: readonly EgressHost[];
  readonly #namespace: string;
  /** Services with a part of their ports stay the same values. */
  readonly #narrowed = new WeakMap<Service, Service>();

  constructor(hosts: readonly EgressHost[], namespace: string) {
    this.#hosts = hosts;
    this.#namespace = namespace;
  }

  routes(all: ReadonlyMap<string, HostRoutes>): ReadonlyMap<string, HostRoutes> {
    const seen = [...all].filter(([host, routes]) =>
      this.#hosts.some((each) => this.#covers(each, routes.namespace, host)),
    );
    return new Map(seen);
  }

  services(all: readonly Service[], routed: ReadonlySet<string>): readonly Service[] {
    return all.flatMap((service) => {
      if (routed.has(service.host)) return [service];
      const covering = this.#hosts.filter((each) => this.#covers(each, service.namespace, service.host));
      if (covering.length === 0) return [];
      const ports = covering.flatMap(({ port }) => (port === undefined ? [] : [port]));
      return ports.length < covering.length ? [service] : this.#narrow(service, new Set(ports));
    });
  }

  #covers({ namespace, host: pattern }: EgressHost, owner: string, host: string): boolean {
    if (namespace === "~") return false;
    if (namespace !== "*" && namespace !== owner && !(namespace === "." && owner === this.#namespace)) return false;
    // A route for a wildcard is meant for all that it covers.
    return hostMatches(pattern, host) || (host.startsWith("*") && hostMatches(host, pattern));
  }

  #narrow(service: Service, numbers: ReadonlySet<number>): readonly Service[] {
    const known = this.#narrowed.get(service);
    if (known !== undefined) return [known];
    const ports = service.ports.filter(({ number }) => numbers.has(number));
    if (ports.length === 0) return [];
    const narrowed = ports.length === service.ports.length ? service : { ...service, ports };
    this.#narrowed.set(service, narrowed);
    return [narrowed];
  }
}
