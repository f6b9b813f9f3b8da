// The pod's own words about its sidecar: annotations that change the template, and those that weft does not act on yet.

import { errorIssue, type Issue, warningIssue } from "../api/issue.ts";
import type { InjectOptions, InterceptionMode } from "./options.ts";

export interface SidecarSettings {
  readonly image: string;
  readonly resources: {
    readonly requests: Readonly<Record<string, string>>;
    readonly limits: Readonly<Record<string, string>>;
  };
  readonly interceptionMode: InterceptionMode;
  readonly rewriteProbes: boolean;
  readonly logLevel: string | undefined;
}

const QUANTITY = /^\d+(\.\d+)?([numkMGTPE]|[KMGTPE]i)?$/;
const LOG_LEVELS = ["trace", "debug", "info", "warning", "error", "critical", "off"];

/** Istio's annotations that change a sidecar there and nothing here so far. */
const NOT_ACTED_ON = [
  "proxy.istio.io/config",
  "inject.istio.io/templates",
  "sidecar.istio.io/bootstrapOverride",
  "sidecar.istio.io/componentLogLevel",
  "sidecar.istio.io/discoveryAddress",
  "sidecar.istio.io/extraStatTags",
  "sidecar.istio.io/nativeSidecar",
  "sidecar.istio.io/proxyImageType",
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
  const settings: SidecarSettings = {
    image: annotations["sidecar.istio.io/proxyImage"] ?? options.image,
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
    interceptionMode: interceptionMode(annotations, options, issues),
    rewriteProbes: annotations["sidecar.istio.io/rewriteAppHTTPProbers"] !== "false",
    logLevel: logLevel(annotations, issues),
  };
  return { settings, issues };
}

function interceptionMode(
  annotations: Readonly<Record<string, string>>,
  options: InjectOptions,
  issues: Issue[],
): InterceptionMode {
  const value = annotations["sidecar.istio.io/interceptionMode"];
  // Where the node can't intercept, no pod can ask for it.
  if (value === undefined || options.interceptionMode === "NONE") return options.interceptionMode;
  if (value === "REDIRECT" || value === "NONE") return value;
  if (value === "TPROXY") {
    issues.push(
      warningIssue(annotationPath("interceptionMode"), "TPROXY is not built; the sidecar intercepts by REDIRECT"),
    );
  } else {
    issues.push(annotationError("interceptionMode", `"${value}" is none of REDIRECT, NONE`));
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
