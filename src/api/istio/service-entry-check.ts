// Cross-field rules of ServiceEntry.

import { isIP } from "node:net";
import { errorIssue, type Issue, warningIssue } from "../issue.ts";
import { isDnsLabel } from "../names.ts";
import { checkExportTo, checkHost, checkPort, quote } from "./rules.ts";
import type { ServiceEntry } from "./service-entry.ts";
import { addressKind, checkWorkload } from "./workload-entry-check.ts";

type Spec = ServiceEntry["spec"];

const SERVICE_ENTRY_PROTOCOLS: readonly string[] = [
  "HTTP",
  "HTTPS",
  "GRPC",
  "GRPC-WEB",
  "HTTP2",
  "MONGO",
  "MYSQL",
  "REDIS",
  "TCP",
  "TLS",
  "UDP",
];

export function checkServiceEntry({ spec }: ServiceEntry): readonly Issue[] {
  return [
    ...checkHosts(spec),
    ...checkAddresses(spec),
    ...checkPorts(spec),
    ...checkSelection(spec),
    ...checkEndpoints(spec),
    ...checkResolution(spec),
    ...checkExportTo(spec.exportTo, "spec.exportTo"),
    ...(spec.subjectAltNames ?? []).flatMap((name, i) =>
      name === "" ? [errorIssue(`spec.subjectAltNames[${i}]`, "must not be empty")] : [],
    ),
  ];
}

function checkHosts({ hosts }: Spec): readonly Issue[] {
  return hosts.flatMap((host, i) => {
    const path = `spec.hosts[${i}]`;
    if (host === "*") return [errorIssue(path, "must not be *: name a host, or a domain like *.example.com")];
    if (hosts.indexOf(host) < i) return [errorIssue(path, `${quote(host)} is named twice`, "duplicate")];
    return checkHost(host, path, { wildcard: true });
  });
}

/** `10.0.0.0/8` and `2001:db8::/32`. */
export function isCidr(text: string): boolean {
  const [address = "", length = "", more] = text.split("/");
  const family = isIP(address);
  if (family === 0 || more !== undefined || !/^\d{1,3}$/.test(length)) return false;
  return Number(length) <= (family === 4 ? 32 : 128);
}

function checkAddresses({ addresses = [], resolution = "NONE" }: Spec): readonly Issue[] {
  return addresses.flatMap((address, i) => {
    const path = `spec.addresses[${i}]`;
    if (isIP(address) !== 0) return [];
    if (!isCidr(address)) return [errorIssue(path, `${quote(address)} is neither an IP address nor a CIDR range`)];
    if (resolution === "NONE" || resolution === "STATIC") return [];
    return [errorIssue(path, "CIDR addresses are allowed only for NONE/STATIC resolution types")];
  });
}

function checkPorts({ ports = [], resolution = "NONE" }: Spec): readonly Issue[] {
  if (ports.length === 0) return [warningIssue("spec.ports", "without ports its hosts can't be called")];
  return ports.flatMap((port, i) => {
    const path = `spec.ports[${i}]`;
    const issues: Issue[] = [
      ...checkPort(port.number, `${path}.number`),
      ...checkPort(port.targetPort, `${path}.targetPort`),
    ];
    if (ports.findIndex(({ number }) => number === port.number) < i) {
      issues.push(errorIssue(`${path}.number`, `service entry port ${port.number} already defined`, "duplicate"));
    }
    if (ports.findIndex(({ name }) => name === port.name) < i) {
      issues.push(
        errorIssue(`${path}.name`, `service entry port name ${quote(port.name)} already defined`, "duplicate"),
      );
    }
    if (!isDnsLabel(port.name)) issues.push(errorIssue(`${path}.name`, `${quote(port.name)} is not a port's name`));
    if (!SERVICE_ENTRY_PROTOCOLS.includes(port.protocol.toUpperCase())) {
      const known = SERVICE_ENTRY_PROTOCOLS.join(", ");
      issues.push(errorIssue(`${path}.protocol`, `unsupported protocol: ${port.protocol}; one of ${known}`));
    }
    if (port.targetPort !== undefined && resolution === "NONE") {
      issues.push(warningIssue(`${path}.targetPort`, "accepted, but resolution NONE goes to the port that was called"));
    }
    return issues;
  });
}

function checkSelection({ workloadSelector, endpoints = [], resolution = "NONE" }: Spec): readonly Issue[] {
  if (workloadSelector === undefined) return [];
  const path = "spec.workloadSelector";
  if (endpoints.length > 0) return [errorIssue(path, "only one of workloadSelector and endpoints may be set")];
  const labels = Object.entries(workloadSelector.labels ?? {});
  const issues: Issue[] = labels.flatMap(([key, value]) => {
    if (key === "") return [errorIssue(`${path}.labels`, "a key must not be empty")];
    return value.includes("*") ? [errorIssue(`${path}.labels[${key}]`, "must not contain *")] : [];
  });
  if (labels.length === 0) issues.push(warningIssue(path, "without labels it selects every workload of the namespace"));
  if (resolution === "NONE")
    issues.push(warningIssue(path, "accepted, but resolution NONE goes to the address that was called"));
  return issues;
}

function checkEndpoints({ endpoints = [], ports = [], resolution = "NONE" }: Spec): readonly Issue[] {
  const names = new Set(ports.map(({ name }) => name));
  return endpoints.flatMap((endpoint, i) => {
    const path = `spec.endpoints[${i}]`;
    const kind = addressKind(endpoint.address ?? "");
    const issues: Issue[] = [...checkWorkload(endpoint, path)];
    for (const name of Object.keys(endpoint.ports ?? {})) {
      if (!names.has(name)) {
        issues.push(
          errorIssue(`${path}.ports[${name}]`, `endpoint port ${quote(name)} is not defined by the service entry`),
        );
      }
    }
    if (kind === "unix" && ports.length !== 1) {
      issues.push(errorIssue(`${path}.address`, "exactly 1 service port required for unix endpoints"));
    }
    if (kind === "unix" && resolution !== "STATIC") {
      issues.push(errorIssue(`${path}.address`, `a unix address needs resolution STATIC, not ${resolution}`));
    }
    if (kind === "name" && resolution === "STATIC") {
      const text = `${quote(endpoint.address ?? "")} is not an IP address: use resolution DNS, which looks names up`;
      issues.push(errorIssue(`${path}.address`, text));
    }
    return issues;
  });
}

function checkResolution(spec: Spec): readonly Issue[] {
  const { resolution = "NONE", endpoints = [], workloadSelector, hosts } = spec;
  const issues: Issue[] = [...checkTellingApart(spec)];
  const wild = hosts.flatMap((host, i) => (host.startsWith("*") ? [`spec.hosts[${i}]`] : []));
  switch (resolution) {
    case "NONE":
      if (endpoints.length > 0) {
        issues.push(errorIssue("spec.endpoints", "no endpoints should be provided for resolution type none"));
      }
      return issues;
    case "STATIC":
      if (endpoints.length === 0 && workloadSelector === undefined) {
        const text = "with resolution STATIC nothing is behind the hosts without endpoints or a workloadSelector";
        issues.push(warningIssue("spec.endpoints", text));
      }
      return issues;
    case "DNS_ROUND_ROBIN":
      if (endpoints.length > 1) {
        const text = `there must only be 0 or 1 endpoint for resolution mode ${resolution}`;
        issues.push(errorIssue("spec.endpoints", text));
      }
      return [...issues, ...mustBeNames(spec, wild)];
    case "DNS":
      return [...issues, ...mustBeNames(spec, wild)];
    case "DYNAMIC_DNS":
      issues.push(...unnamedPorts(spec));
      if (endpoints.length > 0 || workloadSelector !== undefined) {
        const path = endpoints.length > 0 ? "spec.endpoints" : "spec.workloadSelector";
        issues.push(errorIssue(path, "must not be set with resolution DYNAMIC_DNS: each call names its host"));
      }
      return issues;
  }
}

/** What isn't HTTP says no name that could be looked up. */
function unnamedPorts({ ports = [] }: Spec): readonly Issue[] {
  const text = "accepted, but resolution DYNAMIC_DNS looks up the names of HTTP requests only: calls to this port fail";
  return ports.flatMap(({ protocol }, i) =>
    protocol.toUpperCase().startsWith("HTTP") && protocol.toUpperCase() !== "HTTPS"
      ? []
      : [warningIssue(`spec.ports[${i}].protocol`, text)],
  );
}

function mustBeNames(
  { resolution, endpoints = [], workloadSelector }: Spec,
  wild: readonly string[],
): readonly Issue[] {
  if (endpoints.length > 0 || workloadSelector !== undefined) return [];
  const text = `hosts must be FQDN if no endpoints are provided for resolution mode ${resolution}`;
  return wild.map((path) => errorIssue(path, text));
}

/** HTTP says the host it is for and TLS mostly so; plain TCP says nothing but an address. */
function checkTellingApart({ hosts, ports = [], resolution = "NONE" }: Spec): readonly Issue[] {
  if (hosts.length < 2 || resolution === "NONE") return [];
  const told = ["HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "TLS"];
  if (ports.every(({ protocol }) => told.includes(protocol.toUpperCase()))) return [];
  return [errorIssue("spec.hosts", "multiple hosts provided with non-HTTP, non-TLS ports")];
}
