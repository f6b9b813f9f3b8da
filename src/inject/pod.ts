// Pod to pod with sidecar. What was injected before stays as it is, but for what belongs to the cluster it now runs in.

import type { Issue } from "../api/issue.ts";
import { canonicalRevision, canonicalService, workloadOwner } from "../api/workload-name.ts";
import { canonicalJson } from "../base/equal.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { readSettings, type SidecarSettings } from "./annotations.ts";
import { proxyContainer, type WorkloadName } from "./container.ts";
import { type InjectOptions, PROXY_CONTAINER, REVISION, STATUS_ANNOTATION, STATUS_PORT } from "./options.ts";
import { overrideContainer } from "./override.ts";
import { type Rewritten, rewriteProbes } from "./probes.ts";
import { type Json, recordAt, recordsAt, stringAt, stringsAt } from "./shape.ts";
import { SIDECAR_VOLUMES } from "./volumes.ts";

export interface Injected {
  readonly pod: Json;
  /** Errors refuse the pod; the pod is then returned as it came. */
  readonly issues: readonly Issue[];
}

/** `pod` is a Pod or a pod template: `metadata` and `spec` are all that is read. */
export function injectPod(pod: Json, workload: WorkloadName, options: InjectOptions): Injected {
  if (isInjected(pod)) return { pod: adaptToCluster(pod, options), issues: [] };
  const metadata = recordAt(pod, "metadata");
  const spec = recordAt(pod, "spec");
  const { settings, issues } = readSettings(stringsAt(metadata, "annotations"), options);
  if (issues.some((issue) => issue.severity === "error")) return { pod, issues };

  const given = recordsAt(spec, "containers");
  const override = given.find((container) => container["name"] === PROXY_CONTAINER);
  const rewritten = given
    .filter((container) => container !== override)
    .map(
      (container): Rewritten =>
        settings.rewriteProbes && settings.template === "sidecar"
          ? rewriteProbes(container)
          : { container, probers: {} },
    );
  const applications = rewritten.map((entry) => entry.container);
  const probers = Object.assign({}, ...rewritten.map((entry) => entry.probers));
  const template = proxyContainer({ applications, probers, workload, settings }, options);
  const proxy = override === undefined ? template : overrideContainer(template, override);

  // Kubelets start containers in their order.
  const proxyFirst = settings.proxy.holdApplicationUntilProxyStarts === true;
  const containers = proxyFirst ? [proxy, ...applications] : [...applications, proxy];
  return {
    pod: {
      ...pod,
      metadata: injectMetadata(metadata, { applications, override, workload, settings }),
      spec: { ...spec, containers, volumes: addVolumes(recordsAt(spec, "volumes")) },
    },
    issues,
  };
}

export function isInjected(pod: Json): boolean {
  return (
    stringsAt(recordAt(pod, "metadata"), "annotations")[STATUS_ANNOTATION] !== undefined &&
    recordsAt(recordAt(pod, "spec"), "containers").some((container) => container["name"] === PROXY_CONTAINER)
  );
}

/** A pod that was injected offline knows neither the addresses nor the interception of the cluster that it meets. */
function adaptToCluster(pod: Json, options: InjectOptions): Json {
  const annotations = stringsAt(recordAt(pod, "metadata"), "annotations");
  const asked = annotations["sidecar.istio.io/interceptionMode"];
  const values: Readonly<Record<string, string>> = {
    CA_ADDR: options.discoveryAddress,
    TRUST_DOMAIN: options.trustDomain,
    ISTIO_META_CLUSTER_ID: options.clusterId,
    ISTIO_META_INTERCEPTION_MODE: asked === "NONE" ? "NONE" : options.interceptionMode,
  };
  const spec = recordAt(pod, "spec");
  const containers = recordsAt(spec, "containers").map((container) => {
    if (container["name"] !== PROXY_CONTAINER) return container;
    const env = recordsAt(container, "env").map((entry) => {
      const name = stringAt(entry, "name") ?? "";
      const value = name === "PROXY_CONFIG" ? proxyConfig(stringAt(entry, "value"), options) : values[name];
      return value === undefined || entry["value"] === undefined ? entry : { ...entry, value };
    });
    return { ...container, env };
  });
  return { ...pod, spec: { ...spec, containers } };
}

/** The rest of it is the pod's own. */
function proxyConfig(text: string | undefined, options: InjectOptions): string {
  const parsed = parseJson(text ?? "");
  const given = parsed.ok && isRecord(parsed.value) ? parsed.value : {};
  return canonicalJson({ ...given, discoveryAddress: options.discoveryAddress });
}

function injectMetadata(
  metadata: Json,
  found: {
    readonly applications: readonly Json[];
    readonly override: Json | undefined;
    readonly workload: WorkloadName;
    readonly settings: SidecarSettings;
  },
): Json {
  const labels = stringsAt(metadata, "labels");
  const annotations = stringsAt(metadata, "annotations");
  const gateway = found.settings.template === "gateway";
  const first = stringAt(found.applications[0], "name") ?? (gateway ? PROXY_CONTAINER : undefined);
  // Merged, both are scraped at the proxy; otherwise the pod's annotations stay as they are.
  const asked = annotations["prometheus.istio.io/merge-metrics"];
  const merges = asked === undefined ? found.settings.proxy.enablePrometheusMerge !== false : asked !== "false";
  const scraped: Readonly<Record<string, string>> =
    !merges || annotations["prometheus.io/scrape"] === "false"
      ? {}
      : {
          "prometheus.io/path": "/stats/prometheus",
          "prometheus.io/port": `${STATUS_PORT}`,
          "prometheus.io/scrape": "true",
        };
  return {
    ...metadata,
    labels: {
      // A gateway ends the mesh's TLS only where a server of it says so.
      ...(gateway ? {} : { "security.istio.io/tlsMode": "istio" }),
      "service.istio.io/canonical-name": canonicalService(labels, found.workload.name),
      "service.istio.io/canonical-revision": canonicalRevision(labels),
      ...labels,
    },
    annotations: {
      "istio.io/rev": REVISION,
      ...(first === undefined
        ? {}
        : { "kubectl.kubernetes.io/default-container": first, "kubectl.kubernetes.io/default-logs-container": first }),
      ...annotations,
      ...scraped,
      ...(found.override === undefined
        ? {}
        : { "proxy.istio.io/overrides": canonicalJson({ containers: [found.override] }) }),
      [STATUS_ANNOTATION]: canonicalJson({
        initContainers: null,
        containers: [PROXY_CONTAINER],
        volumes: SIDECAR_VOLUMES.map((volume) => volume["name"]),
        imagePullSecrets: null,
        revision: REVISION,
      }),
    },
  };
}

function addVolumes(own: readonly Json[]): readonly Json[] {
  const names = new Set(own.map((volume) => volume["name"]));
  return [...own, ...SIDECAR_VOLUMES.filter((volume) => !names.has(volume["name"]))];
}

export function workloadOfPod(pod: Json, namespace: string): WorkloadName {
  const metadata = recordAt(pod, "metadata");
  const reference = recordsAt(metadata, "ownerReferences").find((entry) => entry["controller"] === true);
  const name = stringAt(reference, "name");
  const kind = stringAt(reference, "kind");
  const owner = workloadOwner({
    name: stringAt(metadata, "name") ?? stringAt(metadata, "generateName")?.replace(/-$/, "") ?? "",
    labels: stringsAt(metadata, "labels"),
    controller:
      name === undefined || kind === undefined
        ? undefined
        : { apiVersion: stringAt(reference, "apiVersion") ?? "v1", kind, name },
  });
  return { name: owner.name, owner: ownerUrl({ ...owner, namespace }) };
}

export function ownerUrl(owner: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}): string {
  return `kubernetes://apis/${owner.apiVersion}/namespaces/${owner.namespace}/${owner.kind.toLowerCase()}s/${owner.name}`;
}
