// What a command's argument names: `NAME`, or `NAME.NAMESPACE`; several of one name have to be told apart.

import type { Workload, World } from "../analyze/world.ts";
import type { Service } from "../model/service.ts";
import { CommandFailure } from "./command.ts";

export function findService(world: World, text: string, namespace: string | undefined): Service {
  const services = [...world.snapshot.services.values()];
  return only(services, { text, namespace, kind: "service" });
}

export function findPod(world: World, text: string, namespace: string | undefined): Workload {
  const pods = world.pods.map((workload) => ({ ...workload.resource, workload }));
  return only(pods, { text, namespace, kind: "pod" }).workload;
}

/** A pod, or a Deployment, which stands for its pods where manifests have none. */
export function findWorkload(world: World, text: string, namespace: string | undefined): Workload {
  const all = [...world.pods, ...world.workloads.filter(({ resource }) => resource.kind !== "Pod")];
  const named = all.map((workload) => ({ ...workload.resource, workload }));
  return only(named, { text, namespace, kind: "pod" }).workload;
}

interface Wanted {
  readonly text: string;
  readonly namespace: string | undefined;
  readonly kind: string;
}

function only<T extends { readonly name: string; readonly namespace: string }>(all: readonly T[], wanted: Wanted): T {
  const { text, namespace, kind } = wanted;
  const found = all.filter(
    (each) =>
      (namespace === undefined || each.namespace === namespace) &&
      (each.name === text ||
        text === `${each.name}.${each.namespace}` ||
        text.startsWith(`${each.name}.${each.namespace}.svc`)),
  );
  const [first, second] = found;
  const known = (some: readonly T[]): string => some.map((each) => `${each.name}.${each.namespace}`).join(", ");
  if (first === undefined) {
    const next = all.length === 0 ? `There is no ${kind} at all.` : `There are: ${known(all)}.`;
    throw new CommandFailure(`there is no ${kind} ${text}${namespace === undefined ? "" : ` in ${namespace}`}`, {
      next,
    });
  }
  if (second !== undefined) {
    const next = `Name one of them: ${known(found)}.`;
    throw new CommandFailure(`several namespaces have a ${kind} ${text}`, { next, exitCode: 2 });
  }
  return first;
}
