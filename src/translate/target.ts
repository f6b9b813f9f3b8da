// What a route can lead to: a service's port, or that of a subset of it.

import type { HostRule } from "../model/destination.ts";
import type { Endpoint } from "../model/endpoint.ts";
import type { Service, ServicePort } from "../model/service.ts";
import { outboundName } from "./names.ts";

export interface ClusterTarget {
  readonly service: Service;
  readonly port: ServicePort;
  readonly subset: string | undefined;
  readonly rule: HostRule | undefined;
}

/** A service as its clients may route to it: each port, and each port of each subset. */
export function serviceTargets(service: Service, rule: HostRule | undefined): readonly ClusterTarget[] {
  const subsets = [undefined, ...(rule?.subsets ?? []).map((subset) => subset.name)];
  return service.ports.flatMap((port) => subsets.map((subset) => ({ service, port, subset, rule })));
}

export function targetName(target: ClusterTarget): string {
  return outboundName(target.port.number, target.subset, target.service.host);
}

/** Of a headless service: what each can be called as by itself. */
export function podEndpoints({ headless, endpoints }: Service, port: ServicePort): readonly Endpoint[] {
  return headless ? (endpoints.get(port.number) ?? []) : [];
}
