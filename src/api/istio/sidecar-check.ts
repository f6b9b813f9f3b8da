// Cross-field rules of Sidecar.

import { isIP } from "node:net";
import { errorIssue, type Issue, warningIssue } from "../issue.ts";
import { isDnsLabel } from "../names.ts";
import { checkDefaultEndpoint, isSocketPath, isUnix } from "./endpoint-text.ts";
import { checkHost, checkPort, quote } from "./rules.ts";
import type { Sidecar } from "./sidecar.ts";

type Spec = NonNullable<Sidecar["spec"]>;
type Ingress = NonNullable<Spec["ingress"]>[number];
type Egress = NonNullable<Spec["egress"]>[number];

const PROTOCOLS: ReadonlySet<string> = new Set("HTTP HTTPS GRPC GRPC-WEB HTTP2 MONGO REDIS MYSQL TCP TLS".split(" "));

export function checkSidecar(object: Sidecar): readonly Issue[] {
  const { ingress = [], egress = [], outboundTrafficPolicy } = object.spec ?? {};
  const issues: Issue[] = [];
  const taken = new Set<number>();
  ingress.forEach((listener, i) => {
    const path = `spec.ingress[${i}]`;
    const number = listener.port.number ?? 0;
    issues.push(...checkIngress(listener, path));
    if (taken.has(number))
      issues.push(errorIssue(`${path}.port.number`, "ports on ingress listeners must be unique", "duplicate"));
    taken.add(number);
  });
  issues.push(...checkEgressList(egress), ...checkEgressProxy(outboundTrafficPolicy));
  return issues;
}

function checkIngress({ port, bind = "", defaultEndpoint = "", tls, captureMode }: Ingress, path: string) {
  const issues: Issue[] = [...checkListenerPort(port, `${path}.port`)];
  if (port.number === 0 || port.number === undefined)
    issues.push(errorIssue(`${path}.port.number`, "an ingress listener needs a port number", "required"));
  if (bind !== "" && isIP(bind) === 0) issues.push(errorIssue(`${path}.bind`, `${quote(bind)} is not an IP address`));
  if (bind !== "" && captureMode !== "NONE")
    issues.push(warningIssue(`${path}.bind`, "accepted, but only a listener with captureMode NONE binds an address"));
  if (port.targetPort !== undefined) issues.push(targetPortUnused(path));
  issues.push(...checkDefaultEndpoint(defaultEndpoint, `${path}.defaultEndpoint`));
  return tls === undefined ? issues : [...issues, ...checkIngressTls(tls, `${path}.tls`)];
}

function targetPortUnused(path: string): Issue {
  return warningIssue(
    `${path}.port.targetPort`,
    "accepted, but a listener of a sidecar has no target port, as in Istio",
  );
}

function checkIngressTls(tls: NonNullable<Ingress["tls"]>, path: string): readonly Issue[] {
  const issues: Issue[] = [];
  const mode = tls.mode ?? "PASSTHROUGH";
  if (mode !== "SIMPLE" && mode !== "MUTUAL")
    issues.push(errorIssue(`${path}.mode`, `${mode} is not served by a sidecar: write SIMPLE or MUTUAL`));
  if (tls.httpsRedirect === true) issues.push(errorIssue(`${path}.httpsRedirect`, "a sidecar redirects nothing"));
  if ((tls.subjectAltNames ?? []).length > 0)
    issues.push(errorIssue(`${path}.subjectAltNames`, "not supported in a sidecar's TLS"));
  for (const field of ["credentialName", "credentialNames", "caCertCredentialName"] as const) {
    if ((tls[field] ?? "").length > 0)
      issues.push(errorIssue(`${path}.${field}`, "a sidecar reads its certificates from files: name those"));
  }
  const needed = ["serverCertificate", "privateKey", ...(mode === "MUTUAL" ? ["caCertificates"] : [])];
  const pairs = (tls.tlsCertificates ?? []).length > 0;
  for (const field of needed.filter((each) => !pairs || each === "caCertificates")) {
    if ((Reflect.get(tls, field) ?? "") === "")
      issues.push(errorIssue(`${path}.${field}`, `${mode} TLS requires it`, "required"));
  }
  return issues;
}

function checkListenerPort(port: Ingress["port"], path: string): readonly Issue[] {
  const issues: Issue[] = [];
  if ((port.number ?? 0) !== 0) issues.push(...checkPort(port.number, `${path}.number`));
  const protocol = port.protocol ?? "";
  if (protocol !== "" && !PROTOCOLS.has(protocol.toUpperCase())) {
    const text = `invalid protocol ${quote(protocol)}, supported protocols are ${[...PROTOCOLS].join(", ")}`;
    issues.push(errorIssue(`${path}.protocol`, text, "unsupported"));
  }
  return issues;
}

/** One without a port takes whatever the others don't, so it comes last and once. */
function checkEgressList(egress: readonly Egress[]): readonly Issue[] {
  const issues: Issue[] = [];
  const taken = new Set<string>();
  egress.forEach((listener, i) => {
    const path = `spec.egress[${i}]`;
    issues.push(...checkEgress(listener, path));
    const { port, bind = "" } = listener;
    if (port === undefined) {
      if (i < egress.length - 1)
        issues.push(errorIssue(path, "an egress listener without a port must be the last one of the list"));
      return;
    }
    const key = isUnix(bind) ? bind : `${bind}:${port.number ?? 0}`;
    if (taken.has(key)) {
      const text = "two egress listeners have the same address and port";
      issues.push(errorIssue(bind === "" ? `${path}.port.number` : `${path}.bind`, text, "duplicate"));
    }
    taken.add(key);
  });
  return issues;
}

function checkEgress({ port, bind = "", captureMode = "DEFAULT", hosts }: Egress, path: string): readonly Issue[] {
  const issues: Issue[] = [];
  if (hosts.length === 0)
    issues.push(errorIssue(`${path}.hosts`, "an egress listener must have at least one host", "required"));
  hosts.forEach((host, i) => {
    issues.push(...checkEgressHost(host, `${path}.hosts[${i}]`));
  });
  if (port !== undefined) issues.push(...checkListenerPort(port, `${path}.port`));
  if (port?.targetPort !== undefined) issues.push(targetPortUnused(path));
  const number = port?.number ?? 0;
  if (isUnix(bind)) {
    if (!isSocketPath(bind)) issues.push(errorIssue(`${path}.bind`, `${quote(bind)} names no socket`));
    if (number !== 0) issues.push(errorIssue(`${path}.port.number`, "must be 0 for a unix domain socket"));
    if (captureMode === "IPTABLES")
      issues.push(errorIssue(`${path}.captureMode`, "must be DEFAULT or NONE for a unix domain socket"));
    return issues;
  }
  if (bind !== "" && isIP(bind) === 0)
    issues.push(errorIssue(`${path}.bind`, `${quote(bind)} is neither an IP address nor unix://path`));
  if (bind !== "" && port === undefined)
    issues.push(errorIssue(`${path}.port`, "a listener with an address of its own needs a port", "required"));
  if (port !== undefined && number === 0)
    issues.push(errorIssue(`${path}.port.number`, "0 is for unix domain sockets only", "required"));
  return issues;
}

/** `namespace/host`; `.`, `*` and `~` stand for namespaces. */
function checkEgressHost(written: string, path: string): readonly Issue[] {
  const parts = written.split("/");
  const [first = "", host = ""] = parts.length === 1 ? ["*", written] : parts;
  if (parts.length > 2) return [errorIssue(path, `${quote(written)} is not of the form namespace/host`)];
  const issues = [...checkHost(host, path, { wildcard: true })];
  if (!["*", ".", "~"].includes(first) && !isDnsLabel(first))
    issues.push(errorIssue(path, `${quote(first)} is not a namespace, nor ".", "*" or "~"`));
  return issues;
}

function checkEgressProxy(policy: Spec["outboundTrafficPolicy"]): readonly Issue[] {
  const proxy = policy?.egressProxy;
  if (proxy === undefined) return [];
  const path = "spec.outboundTrafficPolicy.egressProxy";
  const issues: Issue[] = [
    ...checkHost(proxy.host, `${path}.host`, { wildcard: false }),
    ...checkPort(proxy.port?.number, `${path}.port.number`),
  ];
  if (policy?.mode === "REGISTRY_ONLY")
    issues.push(errorIssue(path, "egress proxy must be set only with mode ALLOW_ANY: REGISTRY_ONLY lets nothing out"));
  return issues;
}
