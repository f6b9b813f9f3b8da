// What every cluster has from its first moment: the system's namespaces, and the control plane as a Service.

import type { ApiError, KubeClient } from "../api/client.ts";
import type { Kind } from "../api/kind.ts";
import { type EndpointSlice, endpointSliceKind } from "../api/kubernetes/endpoint-slice.ts";
import { type Namespace, namespaceKind } from "../api/kubernetes/namespace.ts";
import { type Service, serviceKind } from "../api/kubernetes/service.ts";
import { type ServiceAccount, serviceAccountKind } from "../api/kubernetes/service-account.ts";
import type { KubeObject } from "../api/object.ts";
import { err, ok, type Result } from "../base/result.ts";
import { EDITOR_ACCOUNT, VIEWER_ACCOUNT } from "../dashboard/login.ts";

const SYSTEM_NAMESPACE = "istio-system";
const CONTROL_PLANE = "istiod";
const LABELS = { app: CONTROL_PLANE, istio: "pilot", "istio.io/rev": "default" };

export interface ControlPorts {
  readonly plain: number;
  readonly tls: number;
  readonly debug: number;
}

/** Kubernetes' own are made by the API server. */
export async function ensureNamespace(client: KubeClient): Promise<Result<void, ApiError>> {
  const namespace: Namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: SYSTEM_NAMESPACE } };
  const made = await client.create(namespaceKind, namespace);
  return made.ok || made.error.reason === "AlreadyExists" ? ok(undefined) : made;
}

/** Who may make tokens of these, by RBAC, opens the page: to look, or to change too. */
export async function ensureDashboardAccounts(client: KubeClient): Promise<Result<void, ApiError>> {
  for (const name of [VIEWER_ACCOUNT, EDITOR_ACCOUNT]) {
    const made = await client.create<ServiceAccount>(serviceAccountKind, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name, namespace: SYSTEM_NAMESPACE },
    });
    if (!made.ok && made.error.reason !== "AlreadyExists") return made;
  }
  return ok(undefined);
}

/** A Service without a selector, and the endpoints that its controller would have found. */
export async function ensureControlService(
  client: KubeClient,
  nodeIP: string,
  ports: ControlPorts,
): Promise<Result<void, ApiError>> {
  const service: Service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: CONTROL_PLANE, namespace: SYSTEM_NAMESPACE, labels: LABELS },
    spec: {
      ports: [
        { name: "grpc-xds", port: 15_010, targetPort: ports.plain, protocol: "TCP", appProtocol: "tcp" },
        { name: "https-dns", port: 15_012, targetPort: ports.tls, protocol: "TCP" },
        { name: "http-monitoring", port: 15_014, targetPort: ports.debug, protocol: "TCP" },
      ],
    },
  };
  const slice: EndpointSlice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${CONTROL_PLANE}-weft`,
      namespace: SYSTEM_NAMESPACE,
      labels: {
        "kubernetes.io/service-name": CONTROL_PLANE,
        "endpointslice.kubernetes.io/managed-by": "weft-cluster",
      },
    },
    addressType: "IPv4",
    ports: [
      { name: "grpc-xds", port: ports.plain, protocol: "TCP", appProtocol: "tcp" },
      { name: "https-dns", port: ports.tls, protocol: "TCP" },
      { name: "http-monitoring", port: ports.debug, protocol: "TCP" },
    ],
    endpoints: [{ addresses: [nodeIP], conditions: { ready: true } }],
  };
  const done = await put(client, serviceKind, service);
  return done.ok ? put(client, endpointSliceKind, slice) : done;
}

async function put<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  object: T,
): Promise<Result<void, ApiError>> {
  const made = await client.create(kind, object);
  if (made.ok) return ok(undefined);
  if (made.error.reason !== "AlreadyExists") return made;
  const { name, namespace = "" } = object.metadata;
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...body } = object;
  const patched = await client.mergePatch(kind, { name, namespace }, { body });
  return patched.ok ? ok(undefined) : err(patched.error);
}
