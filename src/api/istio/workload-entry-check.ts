// Rules of one instance outside pods, as a WorkloadEntry, a WorkloadGroup's template or a ServiceEntry's endpoint.

import { isIP } from "node:net";
import { errorIssue, type Issue, warningIssue } from "../issue.ts";
import { isLabelValue, isQualifiedName } from "../names.ts";
import { checkHost, checkPort, quote } from "./rules.ts";
import type { WorkloadEntrySpec } from "./workload-entry.ts";

export type AddressKind = "ip" | "unix" | "name";

/** How a text could serve as an address; undefined: in no way. */
export function addressKind(address: string): AddressKind | undefined {
  if (address.startsWith("unix://")) return "unix";
  if (isIP(address) !== 0) return "ip";
  return checkHost(address, "", { wildcard: false }).length === 0 ? "name" : undefined;
}

/** `template`: of instances whose address is not known yet. */
export function checkWorkload(
  spec: WorkloadEntrySpec,
  path: string,
  use: "instance" | "template" = "instance",
): readonly Issue[] {
  return [...checkAddress(spec, path, use), ...checkPorts(spec, path), ...checkLabels(spec, path)];
}

function checkAddress(spec: WorkloadEntrySpec, path: string, use: "instance" | "template"): readonly Issue[] {
  const { address = "" } = spec;
  const at = `${path}.address`;
  if (address === "") {
    if (use === "template") return [];
    if ((spec.network ?? "") === "") return [errorIssue(at, "address must be set", "required")];
    return [warningIssue(at, "without an address it is not served: gateways of other networks are not built")];
  }
  if (use === "template") return [errorIssue(at, "a template has no address: each instance brings its own")];
  const kind = addressKind(address);
  if (kind === undefined) return [errorIssue(at, `${quote(address)} is no IP address, host name or unix:///path`)];
  if (kind !== "unix") return [];
  const socket = address.slice("unix://".length);
  const issues: Issue[] = [];
  if (!socket.startsWith("/") && !socket.startsWith("@")) {
    issues.push(
      errorIssue(at, `${quote(address)} must name an absolute path or an abstract socket (unix:///path, unix://@name)`),
    );
  } else if (socket.endsWith("/")) issues.push(errorIssue(at, `${quote(address)} is a directory, not a socket`));
  if (Object.keys(spec.ports ?? {}).length > 0) issues.push(errorIssue(`${path}.ports`, "a unix address has no ports"));
  return issues;
}

function checkPorts(spec: WorkloadEntrySpec, path: string): readonly Issue[] {
  return Object.entries(spec.ports ?? {}).flatMap(([name, port]) => checkPort(port, `${path}.ports[${name}]`));
}

function checkLabels(spec: WorkloadEntrySpec, path: string): readonly Issue[] {
  return Object.entries(spec.labels ?? {}).flatMap(([key, value]) => {
    const at = `${path}.labels[${key}]`;
    if (!isQualifiedName(key)) return [errorIssue(at, `${quote(key)} is not a label's key`)];
    return isLabelValue(value) ? [] : [errorIssue(at, `${quote(value)} is not a label's value`)];
  });
}
