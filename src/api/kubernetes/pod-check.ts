// Rules of a pod's specification that its schema can't say.

import { deepEqual } from "../../base/equal.ts";
import { errorIssue, type Issue } from "../issue.ts";
import { isDnsLabel, isDnsSubdomain, isPortNumber } from "../names.ts";
import type { Container, Probe } from "./container.ts";
import { ineffectiveInPod } from "./pod-ineffective.ts";
import type { PodSpec } from "./pod-spec.ts";

const PORT_NAME = /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/;
const ENV_NAME = /^[^=\0]+$/;

export function checkPodSpec(spec: PodSpec, path: string, moreVolumes: readonly string[] = []): Issue[] {
  const issues: Issue[] = [];
  if (spec.containers.length === 0) issues.push(errorIssue(`${path}.containers`, "", "required"));
  const names = new Set<string>();
  const volumes = new Set([...(spec.volumes ?? []).map((volume) => volume.name), ...moreVolumes]);
  for (const list of ["initContainers", "containers"] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      const at = `${path}.${list}[${index}]`;
      if (names.has(container.name)) issues.push(errorIssue(`${at}.name`, "", "duplicate"));
      names.add(container.name);
      issues.push(...checkContainer(container, at, volumes));
    }
  }
  issues.push(...checkVolumes(spec, path), ...ineffectiveInPod(spec, path));
  if (spec.serviceAccountName !== undefined && !isDnsSubdomain(spec.serviceAccountName)) {
    issues.push(
      errorIssue(
        `${path}.serviceAccountName`,
        "must be a DNS-1123 subdomain (lower case letters, digits, '-' and '.')",
      ),
    );
  }
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) {
    issues.push(errorIssue(`${path}.terminationGracePeriodSeconds`, "must be greater than or equal to 0"));
  }
  return issues;
}

function checkVolumes(spec: PodSpec, path: string): Issue[] {
  const issues: Issue[] = [];
  const seen = new Set<string>();
  for (const [index, volume] of (spec.volumes ?? []).entries()) {
    const at = `${path}.volumes[${index}]`;
    if (!isDnsLabel(volume.name)) issues.push(errorIssue(`${at}.name`, "must be a DNS-1123 label"));
    if (seen.has(volume.name)) issues.push(errorIssue(`${at}.name`, "", "duplicate"));
    seen.add(volume.name);
    if (Object.keys(volume).length > 2) {
      issues.push(errorIssue(at, "may not specify more than 1 volume type", "immutable"));
    }
  }
  return issues;
}

function checkContainer(container: Container, path: string, volumes: ReadonlySet<string>): Issue[] {
  const issues: Issue[] = [];
  if (container.name === "") issues.push(errorIssue(`${path}.name`, "", "required"));
  else if (!isDnsLabel(container.name)) {
    issues.push(
      errorIssue(
        `${path}.name`,
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
      ),
    );
  }
  if (container.image === undefined || container.image === "") issues.push(errorIssue(`${path}.image`, "", "required"));
  issues.push(...checkPortsAndEnv(container, path));
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    if (!volumes.has(mount.name)) {
      issues.push({ severity: "error", path: `${path}.volumeMounts[${index}].name`, message: "", reason: "missing" });
    }
  }
  for (const which of ["livenessProbe", "readinessProbe", "startupProbe"] as const) {
    const probe = container[which];
    if (probe !== undefined) issues.push(...checkProbe(probe, `${path}.${which}`));
  }
  return issues;
}

function checkPortsAndEnv(container: Container, path: string): Issue[] {
  const issues: Issue[] = [];
  for (const [index, port] of (container.ports ?? []).entries()) {
    if (!isPortNumber(port.containerPort)) {
      issues.push(errorIssue(`${path}.ports[${index}].containerPort`, "must be between 1 and 65535, inclusive"));
    }
    if (port.name !== undefined && !PORT_NAME.test(port.name)) {
      issues.push(
        errorIssue(
          `${path}.ports[${index}].name`,
          "must be at most 15 lower case letters, digits and '-', with a letter",
        ),
      );
    }
  }
  for (const [index, env] of (container.env ?? []).entries()) {
    if (!ENV_NAME.test(env.name))
      issues.push(errorIssue(`${path}.env[${index}].name`, "a valid environment variable name has no '='"));
    if (env.valueFrom !== undefined && (env.value ?? "") !== "") {
      issues.push(errorIssue(`${path}.env[${index}].valueFrom`, "may not be specified when `value` is not empty"));
    }
  }
  return issues;
}

function checkProbe(probe: Probe, path: string): Issue[] {
  const handlers = [probe.exec, probe.grpc, probe.httpGet, probe.tcpSocket].filter((handler) => handler !== undefined);
  if (handlers.length === 0) return [errorIssue(path, "must specify a handler type", "required")];
  if (handlers.length > 1) return [errorIssue(path, "may not specify more than 1 handler type", "immutable")];
  const port = probe.httpGet?.port ?? probe.tcpSocket?.port;
  if (typeof port === "number" && !isPortNumber(port)) {
    return [
      errorIssue(
        `${path}.${probe.httpGet === undefined ? "tcpSocket" : "httpGet"}.port`,
        "must be between 1 and 65535, inclusive",
      ),
    ];
  }
  return [];
}

const IMMUTABLE =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/** A pod that exists changes little: its images, its deadline, and once its node. */
export function checkPodUpdate(spec: PodSpec, previous: PodSpec): Issue[] {
  const unchanged = deepEqual(frozenPart(spec, previous), frozenPart(previous, previous));
  return unchanged ? [] : [errorIssue("spec", IMMUTABLE, "immutable")];
}

function frozenPart(spec: PodSpec, previous: PodSpec): unknown {
  const withoutImage = (container: Container): unknown => ({ ...container, image: "" });
  return {
    ...spec,
    activeDeadlineSeconds: 0,
    tolerations: [],
    terminationGracePeriodSeconds: 0,
    ephemeralContainers: [],
    schedulingGates: [],
    nodeName: previous.nodeName === undefined ? "" : spec.nodeName,
    containers: spec.containers.map(withoutImage),
    initContainers: (spec.initContainers ?? []).map(withoutImage),
  };
}
