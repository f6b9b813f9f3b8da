// A pod from a controller's template.

import type { ApiError } from "../api/client.ts";
import type { Pod } from "../api/kubernetes/pod.ts";
import type { PodSpec, PodTemplate } from "../api/kubernetes/pod-spec.ts";
import type { KubeObject } from "../api/object.ts";
import { controllerReference } from "./owner.ts";

export interface PodName {
  readonly name: string;
  readonly generateName?: string;
}

/** What this one pod has beyond the template. */
export interface PodExtras {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly change?: (spec: PodSpec) => PodSpec;
}

/** Undefined where the template has no specification, which no stored owner's lacks. */
export function podFrom(
  owner: KubeObject,
  template: PodTemplate,
  named: PodName,
  extras: PodExtras = {},
): Pod | undefined {
  const { metadata, spec } = template;
  if (spec === undefined) return undefined;
  const labels = { ...metadata?.labels, ...extras.labels };
  const annotations = { ...metadata?.annotations, ...extras.annotations };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...named,
      ...(owner.metadata.namespace === undefined ? {} : { namespace: owner.metadata.namespace }),
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      ...(metadata?.finalizers === undefined ? {} : { finalizers: metadata.finalizers }),
      ownerReferences: [controllerReference(owner)],
    },
    spec: extras.change?.(spec) ?? spec,
  };
}

/** The owner goes with its namespace: there is nothing to make any more, and nothing to complain about. */
export function endsWithNamespace(error: ApiError): boolean {
  return error.code === 403 && error.message.endsWith("because it is being terminated");
}
