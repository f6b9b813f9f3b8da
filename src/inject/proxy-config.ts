// How a pod's proxy is to run: MeshConfig's defaultConfig, over it the ProxyConfigs that hold for the pod, over them its
// annotation.

import { errorIssue, type Issue } from "../api/issue.ts";
import { warnIneffective } from "../api/istio/ineffective.ts";
import {
  defaultConfig,
  type MeshSettings,
  proxySettingsIneffective,
  readMeshSettings,
} from "../api/istio/mesh-config.ts";
import type { ProxyConfig } from "../api/istio/proxy-config.ts";
import { checkDuration } from "../api/istio/rules.ts";
import { validateValue } from "../api/validate.ts";
import { isRecord, parseYamlDocuments } from "../base/json.ts";
import { matchesLabels } from "../model/endpoint.ts";
import { byAge } from "../model/finding.ts";

export type ProxySettings = NonNullable<MeshSettings["defaultConfig"]> & {
  /** MeshConfig's own: whether the application's metrics are told with the proxy's, where its pod doesn't say. */
  readonly enablePrometheusMerge?: boolean;
};

export interface ProxyConfigWorld {
  readonly mesh: ProxySettings;
  readonly rootNamespace: string;
  readonly proxyConfigs: readonly ProxyConfig[];
}

export const NO_PROXY_CONFIGS: ProxyConfigWorld = { mesh: {}, rootNamespace: "istio-system", proxyConfigs: [] };

/** `text`: MeshConfig, as its ConfigMap has it. One with errors says nothing. */
export function meshProxySettings(text: string | undefined): ProxySettings {
  const { defaultConfig: own, enablePrometheusMerge } = text === undefined ? {} : readMeshSettings(text).settings;
  return { ...own, ...(enablePrometheusMerge === undefined ? {} : { enablePrometheusMerge }) };
}

/** What holds for the whole mesh, then for the namespace, then for the workload; of two alike the oldest. */
export function proxySettings(
  world: ProxyConfigWorld,
  pod: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
): ProxySettings {
  const sorted = [...world.proxyConfigs].sort(byAge);
  const inNamespace = (name: string) => sorted.filter(({ metadata }) => (metadata.namespace ?? "default") === name);
  const own = inNamespace(pod.namespace);
  const chain = [
    inNamespace(world.rootNamespace).find((each) => !isSelective(each)),
    pod.namespace === world.rootNamespace ? undefined : own.find((each) => !isSelective(each)),
    own.find((each) => isSelective(each) && matchesLabels(each.spec?.selector?.matchLabels, pod.labels)),
  ];
  return chain.reduce((settings, each) => overlay(settings, fromResource(each)), world.mesh);
}

function isSelective({ spec }: ProxyConfig): boolean {
  return Object.keys(spec?.selector?.matchLabels ?? {}).length > 0;
}

function fromResource(resource: ProxyConfig | undefined): ProxySettings {
  const { concurrency, environmentVariables, image } = resource?.spec ?? {};
  return {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(environmentVariables === undefined ? {} : { proxyMetadata: environmentVariables }),
    ...(image === undefined ? {} : { image }),
  };
}

/** Field by field; variables one by one. */
export function overlay(base: ProxySettings, over: ProxySettings): ProxySettings {
  const variables = { ...base.proxyMetadata, ...over.proxyMetadata };
  return { ...base, ...over, ...(Object.keys(variables).length === 0 ? {} : { proxyMetadata: variables }) };
}

export const CONFIG_ANNOTATION = "proxy.istio.io/config";

/** The annotation's YAML. */
export function readProxyAnnotation(text: string | undefined): {
  readonly settings: ProxySettings;
  readonly issues: readonly Issue[];
} {
  if (text === undefined || text.trim() === "") return { settings: {}, issues: [] };
  const parsed = parseYamlDocuments(text);
  if (!parsed.ok) return { settings: {}, issues: [errorIssue(AT, parsed.error)] };
  const value = parsed.value[0]?.value;
  if (!isRecord(value)) return { settings: {}, issues: [errorIssue(AT, "not a map of ProxyConfig's fields")] };
  const { issues, value: settings } = validateValue(defaultConfig, value);
  const found = [
    ...issues.map((issue): Issue => (issue.reason === "unknown" ? { ...issue, severity: "warning" } : issue)),
    ...checkDuration(settings.terminationDrainDuration, "terminationDrainDuration", 0),
    ...warnIneffective(settings, proxySettingsIneffective),
  ].map((issue) => ({ ...issue, path: `${AT}.${issue.path}` }));
  const broken = found.some(({ severity }) => severity === "error");
  return { settings: broken ? {} : settings, issues: found };
}

const AT = `metadata.annotations[${CONFIG_ANNOTATION}]`;

/** `weft/proxy:1.0` to `weft/proxy:1.0-distroless`; `default` is the image without a suffix. */
export function imageOfType(image: string, type: string | undefined): string {
  if (type === undefined || type === "") return image;
  const slash = image.lastIndexOf("/");
  const colon = image.indexOf(":", slash + 1);
  const [name, tag] = colon < 0 ? [image, ""] : [image.slice(0, colon), image.slice(colon + 1)];
  const plain = tag.replace(/-?(distroless|debug)$/, "");
  const full = [plain, type === "default" ? "" : type].filter((part) => part !== "").join("-");
  return full === "" ? name : `${name}:${full}`;
}
