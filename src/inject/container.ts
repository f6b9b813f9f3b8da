// The template of the container istio-proxy.

import { canonicalJson } from "../base/equal.ts";
import type { SidecarSettings } from "./annotations.ts";
import { type InjectOptions, PROMETHEUS_PORT, PROXY_CONTAINER, PROXY_UID, READINESS_PORT } from "./options.ts";
import { type Json, numberAt, recordsAt, stringAt } from "./shape.ts";
import { SIDECAR_MOUNTS } from "./volumes.ts";

export interface WorkloadName {
  readonly name: string;
  /** `kubernetes://apis/apps/v1/namespaces/production/deployments/api`, or undefined where nothing is known. */
  readonly owner: string | undefined;
}

export interface ContainerInput {
  readonly applications: readonly Json[];
  readonly probers: Readonly<Record<string, Json>>;
  readonly workload: WorkloadName;
  readonly settings: SidecarSettings;
}

export function proxyContainer(input: ContainerInput, options: InjectOptions): Json {
  const { settings } = input;
  return {
    name: PROXY_CONTAINER,
    image: settings.image,
    args: [
      "proxy",
      settings.template === "gateway" ? "router" : "sidecar",
      "--domain",
      "$(POD_NAMESPACE).svc.cluster.local",
      ...(settings.logLevel === undefined ? [] : [`--proxyLogLevel=${settings.logLevel}`]),
    ],
    ports: [{ containerPort: PROMETHEUS_PORT, name: "http-envoy-prom", protocol: "TCP" }],
    env: environment(input, options),
    resources: settings.resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsGroup: PROXY_UID,
      runAsNonRoot: true,
      runAsUser: PROXY_UID,
    },
    startupProbe: {
      httpGet: { path: "/healthz/ready", port: READINESS_PORT },
      failureThreshold: 600,
      periodSeconds: 1,
      timeoutSeconds: 3,
    },
    readinessProbe: {
      httpGet: { path: "/healthz/ready", port: READINESS_PORT },
      failureThreshold: 4,
      periodSeconds: 15,
      timeoutSeconds: 3,
    },
    volumeMounts: SIDECAR_MOUNTS,
  };
}

function environment(input: ContainerInput, options: InjectOptions): readonly Json[] {
  const { enablePrometheusMerge: _mesh, ...proxy } = input.settings.proxy;
  const entries: Json[] = [
    { name: "PILOT_CERT_PROVIDER", value: "istiod" },
    { name: "CA_ADDR", value: options.discoveryAddress },
    fromField("POD_NAME", "metadata.name"),
    fromField("POD_NAMESPACE", "metadata.namespace"),
    fromField("INSTANCE_IP", "status.podIP"),
    fromField("SERVICE_ACCOUNT", "spec.serviceAccountName"),
    fromField("HOST_IP", "status.hostIP"),
    fromField("CANONICAL_SERVICE", "metadata.labels['service.istio.io/canonical-name']"),
    fromField("CANONICAL_REVISION", "metadata.labels['service.istio.io/canonical-revision']"),
    { name: "PROXY_CONFIG", value: canonicalJson({ ...proxy, discoveryAddress: options.discoveryAddress }) },
    { name: "ISTIO_META_POD_PORTS", value: canonicalJson(podPorts(input.applications)) },
    { name: "ISTIO_META_APP_CONTAINERS", value: input.applications.map((c) => stringAt(c, "name")).join(",") },
    { name: "ISTIO_META_CLUSTER_ID", value: options.clusterId },
    fromField("ISTIO_META_NODE_NAME", "spec.nodeName"),
    { name: "ISTIO_META_INTERCEPTION_MODE", value: input.settings.interceptionMode },
    { name: "ISTIO_META_WORKLOAD_NAME", value: input.workload.name },
  ];
  if (input.workload.owner !== undefined) entries.push({ name: "ISTIO_META_OWNER", value: input.workload.owner });
  entries.push(
    { name: "ISTIO_META_MESH_ID", value: options.meshId },
    { name: "TRUST_DOMAIN", value: options.trustDomain },
  );
  if (Object.keys(input.probers).length > 0) {
    entries.push({ name: "ISTIO_KUBE_APP_PROBERS", value: canonicalJson(input.probers) });
  }
  const own = Object.entries(proxy.proxyMetadata ?? {}).map(([name, value]): Json => ({ name, value }));
  return [...entries.filter((entry) => !own.some(({ name }) => name === entry["name"])), ...own];
}

function podPorts(containers: readonly Json[]): readonly Json[] {
  return containers.flatMap((container) =>
    recordsAt(container, "ports").flatMap((port) => {
      const containerPort = numberAt(port, "containerPort");
      if (containerPort === undefined) return [];
      const name = stringAt(port, "name");
      const protocol = stringAt(port, "protocol") ?? "TCP";
      return [{ ...(name === undefined ? {} : { name }), containerPort, protocol }];
    }),
  );
}

function fromField(name: string, fieldPath: string): Json {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}
