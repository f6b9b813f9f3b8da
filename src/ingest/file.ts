// Manifests as the source, for work without a cluster: documents to one resource set, with what is wrong in them.

import { Value } from "typebox/value";
import { authorizationPolicyKind } from "../api/istio/authorization-policy.ts";
import { destinationRuleKind } from "../api/istio/destination-rule.ts";
import { peerAuthenticationKind } from "../api/istio/peer-authentication.ts";
import { telemetryKind } from "../api/istio/telemetry.ts";
import { virtualServiceKind } from "../api/istio/virtual-service.ts";
import type { Kind } from "../api/kind.ts";
import { endpointSliceKind } from "../api/kubernetes/endpoint-slice.ts";
import { namespaceKind } from "../api/kubernetes/namespace.ts";
import { podKind } from "../api/kubernetes/pod.ts";
import { serviceKind } from "../api/kubernetes/service.ts";
import type { KubeObject } from "../api/object.ts";
import { isRecord, parseYamlDocuments } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { ResourceName, ResourceSet, ResourceTypes } from "./resources.ts";
import { ResourceStore } from "./store.ts";

type Put = (store: ResourceStore, object: KubeObject) => string | undefined;

const READERS: Readonly<Record<string, Put>> = {
  Namespace: reader("namespaces", namespaceKind),
  Service: reader("services", serviceKind),
  EndpointSlice: reader("endpointSlices", endpointSliceKind),
  Pod: reader("pods", podKind),
  VirtualService: reader("virtualServices", virtualServiceKind),
  DestinationRule: reader("destinationRules", destinationRuleKind),
  PeerAuthentication: reader("peerAuthentications", peerAuthenticationKind),
  AuthorizationPolicy: reader("authorizationPolicies", authorizationPolicyKind),
  Telemetry: reader("telemetries", telemetryKind),
};

export interface FileSet {
  readonly resources: ResourceSet;
  /** Kinds that the mesh doesn't read, with how many there were. */
  readonly ignored: ReadonlyMap<string, number>;
}

/** Every document of the text; what has no namespace is in `default`. */
export function readManifests(text: string, file = "input"): Result<FileSet, string> {
  const parsed = parseYamlDocuments(text);
  if (!parsed.ok) return err(`${file}: ${parsed.error}`);
  const store = new ResourceStore();
  const ignored = new Map<string, number>();
  for (const { value, line } of parsed.value) {
    const object = toObject(value);
    if (object === undefined)
      return err(`${file}:${line}: not a Kubernetes object: apiVersion, kind and metadata.name are required`);
    const put = READERS[object.kind];
    if (put === undefined) {
      ignored.set(object.kind, (ignored.get(object.kind) ?? 0) + 1);
      continue;
    }
    const problem = put(store, object);
    if (problem !== undefined) return err(`${file}:${line}: ${object.kind} ${object.metadata.name}: ${problem}`);
  }
  return ok({ resources: store.take(), ignored });
}

/** Puts what passes the kind's schema and rules; the first thing that is wrong otherwise. */
function reader<K extends ResourceName, T extends ResourceTypes[K]>(name: K, kind: Kind<T>): Put {
  return (store, object) => {
    const [structural] = Value.Errors(kind.schema, object);
    if (structural !== undefined) {
      return `${structural.instancePath.slice(1).replaceAll("/", ".")}: ${structural.message}`;
    }
    // The schema has just shown that it is one.
    const typed = object as T;
    const error = kind.check?.(typed, undefined).find((issue) => issue.severity === "error");
    if (error !== undefined) return `${error.path}: ${error.message}`;
    store.put(name, kind.applyDefaults?.(typed) ?? typed);
    return undefined;
  };
}

function toObject(value: unknown): KubeObject | undefined {
  if (!isRecord(value) || !isRecord(value["metadata"])) return undefined;
  const { apiVersion, kind, metadata } = value;
  if (typeof apiVersion !== "string" || typeof kind !== "string" || !isRecord(metadata)) return undefined;
  if (typeof metadata["name"] !== "string") return undefined;
  const namespace = kind === "Namespace" ? {} : { namespace: String(metadata["namespace"] ?? "default") };
  return { ...value, apiVersion, kind, metadata: { ...metadata, name: metadata["name"], ...namespace } };
}
