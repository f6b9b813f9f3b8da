// Sidecar injection as the API server's admission step: every new pod, by its namespace's and its own wish.

import type { KubeClient } from "../api/client.ts";
import { MESH_CONFIG_NAME } from "../api/istio/mesh-config.ts";
import { proxyConfigKind } from "../api/istio/proxy-config.ts";
import { configMapKind } from "../api/kubernetes/config-map.ts";
import { namespaceKind } from "../api/kubernetes/namespace.ts";
import type { KubeObject } from "../api/object.ts";
import type { AdmissionAnswer, AdmissionPlugin, AdmissionRequest } from "../apiserver/admission.ts";
import { isRecord } from "../base/json.ts";
import { decideInjection } from "../inject/decide.ts";
import type { InjectOptions } from "../inject/options.ts";
import { injectPod, isInjected, workloadOfPod } from "../inject/pod.ts";
import { meshProxySettings, type ProxyConfigWorld, proxySettings } from "../inject/proxy-config.ts";

/** `client` is asked for rather than given: the server that it belongs to is made after its plugins. */
export function injectionPlugin(client: () => KubeClient, options: InjectOptions): AdmissionPlugin {
  return {
    name: "sidecar-injection",
    admit: async (request) => {
      const untouched: AdmissionAnswer = { kind: "allowed", object: request.object, warnings: [] };
      if (request.kind.kind !== "Pod" || request.kind.group !== "" || request.operation !== "create") return untouched;
      const name = request.namespace ?? "default";
      const namespace = await client().get(namespaceKind, { name });
      const labels = namespace.ok ? (namespace.value.metadata.labels ?? {}) : {};
      const pod = { namespace: name, labels: request.object.metadata.labels ?? {} };
      const settings = proxySettings(await proxyConfigWorld(client(), name), pod);
      return admitPod(request, { name, labels }, { ...options, proxySettings: settings });
    },
  };
}

const ROOT_NAMESPACE = "istio-system";

/** As they are now: what changes later holds for the pods that come later. */
async function proxyConfigWorld(client: KubeClient, namespace: string): Promise<ProxyConfigWorld> {
  const mesh = await client.get(configMapKind, { namespace: ROOT_NAMESPACE, name: MESH_CONFIG_NAME });
  const lists = await Promise.all(
    [...new Set([ROOT_NAMESPACE, namespace])].map((each) => client.list(proxyConfigKind, { namespace: each })),
  );
  return {
    mesh: meshProxySettings(mesh.ok ? mesh.value.data?.["mesh"] : undefined),
    rootNamespace: ROOT_NAMESPACE,
    proxyConfigs: lists.flatMap((list) => (list.ok ? list.value : [])),
  };
}

function admitPod(
  request: AdmissionRequest,
  namespace: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
  options: InjectOptions,
): AdmissionAnswer {
  const pod = { ...request.object };
  if (!isInjected(pod) && !decideInjection(pod, namespace).inject) {
    return { kind: "allowed", object: request.object, warnings: [] };
  }
  const injected = injectPod(pod, workloadOfPod(pod, namespace.name), options);
  const wrong = injected.issues.filter((issue) => issue.severity === "error");
  if (wrong.length > 0) {
    const causes = wrong.map((issue) => `${issue.path}: ${issue.message}`).join(", ");
    const message = `admission webhook "sidecar-injection.weft.dev" denied the request: ${causes}`;
    return { kind: "denied", error: { code: 400, reason: "BadRequest", message } };
  }
  return {
    kind: "allowed",
    object: asObject(injected.pod, request.object),
    warnings: injected.issues.map((issue) => `${issue.path}: ${issue.message}`),
  };
}

/** Injection keeps what makes an object one; the API server checks the result as it checks any pod. */
function asObject(value: unknown, original: KubeObject): KubeObject {
  return isRecord(value)
    ? { ...original, ...value, metadata: { ...original.metadata, ...Object(value["metadata"]) } }
    : original;
}
