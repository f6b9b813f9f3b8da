// The pod's own words about its sidecar: annotations that change the template, and those that weft does not act on yet.

import { errorIssue, type Issue, warningIssue } from "../api/issue.ts";
import { type InjectOptions, type InterceptionMode, TEMPLATES_ANNOTATION } from "./options.ts";
import { CONFIG_ANNOTATION, imageOfType, overlay, type ProxySettings, readProxyAnnotation } from "./proxy-config.ts";

export interface SidecarSettings {
  /** `gateway`: the pod is the proxy, which serves the mesh's edge. */
  readonly template: "sidecar" | "gateway";
  readonly image: string;
  readonly resources: {
    readonly requests: Readonly<Record<string, string>>;
    readonly limits: Readonly<Record<string, string>>;
  };
  readonly interceptionMode: InterceptionMode;
  readonly rewriteProbes: boolean;
  readonly logLevel: string | undefined;
  /** What the proxy's container says in PROXY_CONFIG, and in variables. */
  readonly proxy: ProxySettings;
}

const QUANTITY = /^\d+(\.\d+)?([numkMGTPE]|[KMGTPE]i)?$/;
const LOG_LEVELS = ["trace", "debug", "info", "warning", "error", "critical", "off"];

/** Istio's annotations that change a sidecar there and nothing here so far. */
const NOT_ACTED_ON = [
  "sidecar.istio.io/bootstrapOverride",
  "sidecar.istio.io/componentLogLevel",
  "sidecar.istio.io/discoveryAddress",
  "sidecar.istio.io/extraStatTags",
  "sidecar.istio.io/nativeSidecar",
  "sidecar.istio.io/statsInclusionPrefixes",
  "sidecar.istio.io/userVolume",
  "sidecar.istio.io/userVolumeMount",
];
const NOT_ACTED_ON_PREFIXES = ["traffic.sidecar.istio.io/", "readiness.status.sidecar.istio.io/"];

export function readSettings(
  annotations: Readonly<Record<string, string>>,
  options: InjectOptions,
): { readonly settings: SidecarSettings; readonly issues: readonly Issue[] } {
  const issues: Issue[] = notActedOn(annotations);
  const quantity = (name: string, otherwise: string): string => {
    const value = annotations[`sidecar.istio.io/${name}`];
    if (value === undefined) return otherwise;
    if (QUANTITY.test(value)) return value;
    issues.push(annotationError(name, `"${value}" is not a quantity such as 100m or 128Mi`));
    return otherwise;
  };
  const annotated = readProxyAnnotation(annotations[CONFIG_ANNOTATION]);
  issues.push(...annotated.issues);
  const proxy = overlay(options.proxySettings, annotated.settings);
  const imageType = annotations["sidecar.istio.io/proxyImageType"] ?? proxy.image?.imageType;
  const settings: SidecarSettings = {
    template: template(annotations, issues),
    image: annotations["sidecar.istio.io/proxyImage"] ?? imageOfType(options.image, imageType),
    resources: {
      requests: {
        cpu: quantity("proxyCPU", options.requests.cpu),
        memory: quantity("proxyMemory", options.requests.memory),
      },
      limits: {
        cpu: quantity("proxyCPULimit", options.limits.cpu),
        memory: quantity("proxyMemoryLimit", options.limits.memory),
      },
    },
    interceptionMode: interceptionMode(modeWish(annotations, proxy), options, issues),
    rewriteProbes: annotations["sidecar.istio.io/rewriteAppHTTPProbers"] !== "false",
    logLevel: logLevel(annotations, issues),
    proxy,
  };
  return { settings, issues };
}

function template(annotations: Readonly<Record<string, string>>, issues: Issue[]): SidecarSettings["template"] {
  const names = (annotations[TEMPLATES_ANNOTATION] ?? "sidecar").split(",").map((name) => name.trim());
  const unknown = names.filter((name) => name !== "sidecar" && name !== "gateway");
  if (unknown.length > 0) {
    const text = `there are the templates sidecar and gateway; ${unknown.join(", ")} is left out`;
    issues.push(warningIssue(`metadata.annotations[${TEMPLATES_ANNOTATION}]`, text));
  }
  return names.includes("gateway") ? "gateway" : "sidecar";
}

interface ModeWish {
  readonly value: string | undefined;
  readonly path: string;
}

function modeWish(annotations: Readonly<Record<string, string>>, proxy: ProxySettings): ModeWish {
  const value = annotations["sidecar.istio.io/interceptionMode"];
  if (value !== undefined) return { value, path: annotationPath("interceptionMode") };
  return { value: proxy.interceptionMode, path: `metadata.annotations[${CONFIG_ANNOTATION}].interceptionMode` };
}

function interceptionMode({ value, path }: ModeWish, options: InjectOptions, issues: Issue[]): InterceptionMode {
  // Where the node can't intercept, no pod can ask for it.
  if (value === undefined || options.interceptionMode === "NONE") return options.interceptionMode;
  if (value === "REDIRECT" || value === "NONE") return value;
  if (value === "TPROXY") {
    issues.push(warningIssue(path, "TPROXY is not built; the sidecar intercepts by REDIRECT"));
  } else {
    issues.push(errorIssue(path, `"${value}" is none of REDIRECT, NONE`));
  }
  return options.interceptionMode;
}

function logLevel(annotations: Readonly<Record<string, string>>, issues: Issue[]): string | undefined {
  const value = annotations["sidecar.istio.io/logLevel"];
  if (value === undefined || LOG_LEVELS.includes(value)) return value;
  issues.push(annotationError("logLevel", `"${value}" is none of ${LOG_LEVELS.join(", ")}`));
  return undefined;
}

function notActedOn(annotations: Readonly<Record<string, string>>): Issue[] {
  return Object.keys(annotations)
    .filter((key) => NOT_ACTED_ON.includes(key) || NOT_ACTED_ON_PREFIXES.some((prefix) => key.startsWith(prefix)))
    .map((key) => warningIssue(`metadata.annotations[${key}]`, "weft does not act on this annotation yet"));
}

function annotationPath(name: string): string {
  return `metadata.annotations[sidecar.istio.io/${name}]`;
}

function annotationError(name: string, message: string): Issue {
  return errorIssue(annotationPath(name), message);
}
