// Cross-field rules of Gateway.

import { isIP } from "node:net";
import { errorIssue, type Issue, warningIssue } from "../issue.ts";
import { isDnsLabel } from "../names.ts";
import { checkDefaultEndpoint, isSocketPath, isUnix } from "./endpoint-text.ts";
import type { Gateway, GatewayServer } from "./gateway.ts";
import { checkHost, checkPort, quote } from "./rules.ts";

const HTTP: ReadonlySet<string> = new Set(["HTTP", "HTTP2", "GRPC", "GRPC-WEB"]);
const TLS: ReadonlySet<string> = new Set(["HTTPS", "TLS"]);
const TCP: ReadonlySet<string> = new Set(["TCP", "MONGO", "REDIS", "MYSQL"]);
const PROTOCOLS = [...HTTP, ...TLS, ...TCP];

export function checkGateway(object: Gateway): readonly Issue[] {
  const servers = object.spec.servers ?? [];
  const issues: Issue[] = [];
  if (servers.length === 0)
    issues.push(errorIssue("spec.servers", "gateway must have at least one server", "required"));
  const names = new Set<string>();
  for (const [i, server] of servers.entries()) {
    const path = `spec.servers[${i}]`;
    issues.push(...checkServer(server, path));
    const { name } = server.port;
    if (name !== "" && names.has(name)) {
      const text = `port names in servers must be unique: duplicate name ${name}`;
      issues.push(errorIssue(`${path}.port.name`, text, "duplicate"));
    }
    names.add(name);
  }
  return issues;
}

function checkServer(server: GatewayServer, path: string): readonly Issue[] {
  const issues: Issue[] = [...checkServerPort(server, path), ...checkBind(server.bind, `${path}.bind`)];
  if (server.hosts.length === 0) {
    issues.push(errorIssue(`${path}.hosts`, "server config must contain at least one host", "required"));
  }
  issues.push(...checkDefaultEndpoint(server.defaultEndpoint ?? "", `${path}.defaultEndpoint`));
  for (const [i, host] of server.hosts.entries()) issues.push(...checkServerHost(host, `${path}.hosts[${i}]`));
  const protocol = server.port.protocol.toUpperCase();
  const { tls } = server;
  if (tls === undefined) {
    if (TLS.has(protocol)) {
      const text = "server must have TLS settings for HTTPS/TLS protocols";
      issues.push(errorIssue(`${path}.tls`, text, "required"));
    }
    return issues;
  }
  if (TLS.has(protocol)) return [...issues, ...checkTls(tls, `${path}.tls`)];
  if (!HTTP.has(protocol)) {
    issues.push(errorIssue(`${path}.tls`, "server cannot have TLS settings for non HTTPS/TLS ports"));
  } else {
    const others = Object.keys(tls).filter((field) => field !== "httpsRedirect");
    if (others.length > 0) {
      const text = "server cannot have TLS settings for plain text HTTP ports; only httpsRedirect may be set";
      issues.push(errorIssue(`${path}.tls.${others[0]}`, text));
    }
  }
  return issues;
}

function checkServerPort({ port, bind = "" }: GatewayServer, path: string): readonly Issue[] {
  const issues: Issue[] = [...checkPort(port.targetPort, `${path}.port.targetPort`)];
  if (!isUnix(bind)) issues.push(...checkPort(port.number, `${path}.port.number`));
  else if (port.number !== 0) issues.push(errorIssue(`${path}.port.number`, "must be 0 for a unix domain socket"));
  if (port.name === "") issues.push(errorIssue(`${path}.port.name`, "port name must be set", "required"));
  if (!PROTOCOLS.includes(port.protocol.toUpperCase())) {
    const text = `invalid protocol ${quote(port.protocol)}, supported protocols are ${PROTOCOLS.join(", ")}`;
    issues.push(errorIssue(`${path}.port.protocol`, text, "unsupported"));
  }
  return issues;
}

function checkBind(bind: string | undefined, path: string): readonly Issue[] {
  if (bind === undefined || bind === "" || isIP(bind) !== 0 || (isUnix(bind) && isSocketPath(bind))) return [];
  return [errorIssue(path, `${quote(bind)} is neither an IP address nor unix:///path`)];
}

/** `host`, `namespace/host`, `./host` or `*` + `/host`. */
function checkServerHost(written: string, path: string): readonly Issue[] {
  const parts = written.split("/");
  if (parts.length > 2) return [errorIssue(path, `${quote(written)} is not of the form namespace/host`)];
  const [first = "", second] = parts;
  const host = second ?? first;
  const issues: Issue[] = [...checkHost(host, path, { wildcard: true })];
  if (second !== undefined && first !== "*" && first !== "." && !isDnsLabel(first)) {
    issues.push(errorIssue(path, `${quote(first)} is not a namespace, nor . or *`));
  }
  if (issues.length === 0 && host !== "*" && !host.includes(".")) {
    issues.push(errorIssue(path, "short names (non FQDN) not allowed in a server's hosts"));
  }
  return issues;
}

type ServerTls = NonNullable<GatewayServer["tls"]>;

const FILES = ["serverCertificate", "privateKey", "caCertificates"] as const;
const CREDENTIALS = ["credentialName", "credentialNames", "caCertCredentialName", "tlsCertificates"] as const;

function checkTls(tls: ServerTls, path: string): readonly Issue[] {
  const mode = tls.mode ?? "PASSTHROUGH";
  const issues: Issue[] = [...checkVersions(tls, path), ...checkCiphers(tls, path)];
  if (tls.httpsRedirect === true) {
    issues.push(warningIssue(`${path}.httpsRedirect`, "it has no effect on a server that speaks TLS itself"));
  }
  const given = [...FILES, ...CREDENTIALS].filter((field) => isGiven(tls[field]));
  switch (mode) {
    case "ISTIO_MUTUAL":
      for (const field of given) {
        issues.push(errorIssue(`${path}.${field}`, `ISTIO_MUTUAL TLS cannot have associated ${field}`));
      }
      return issues;
    case "PASSTHROUGH":
    case "AUTO_PASSTHROUGH":
      for (const field of given) {
        issues.push(warningIssue(`${path}.${field}`, `it has no effect in mode ${mode}, which decrypts nothing`));
      }
      return issues;
    default:
      return [...issues, ...checkCertificates(tls, mode, path)];
  }
}

/** SIMPLE needs something to present; MUTUAL also whom to trust. */
function checkCertificates(tls: ServerTls, mode: string, path: string): readonly Issue[] {
  const issues: Issue[] = [];
  const ways = (["credentialName", "credentialNames", "tlsCertificates"] as const).filter((name) => isGiven(tls[name]));
  if (ways.length > 1) issues.push(errorIssue(path, `only one of ${ways.join(", ")} may be set`));
  const mutual = mode !== "SIMPLE";
  if (mode === "OPTIONAL_MUTUAL") {
    for (const field of ["subjectAltNames", "verifyCertificateSpki", "verifyCertificateHash"] as const) {
      if (isGiven(tls[field]))
        issues.push(
          warningIssue(`${path}.${field}`, "with it every client is asked for a certificate: mode MUTUAL says so"),
        );
    }
  }
  const named = isGiven(tls.credentialName) || isGiven(tls.credentialNames);
  if (named) return issues;
  if (isGiven(tls.tlsCertificates)) {
    for (const [i, one] of (tls.tlsCertificates ?? []).entries()) {
      issues.push(...checkPair(one, mode, `${path}.tlsCertificates[${i}]`));
    }
  } else issues.push(...checkPair(tls, mode, path));
  if (mutual && !isGiven(tls.caCertificates) && !isGiven(tls.caCertCredentialName)) {
    issues.push(errorIssue(`${path}.caCertificates`, `${mode} TLS requires a client CA bundle`, "required"));
  }
  return issues;
}

function checkPair(
  pair: { readonly serverCertificate?: string; readonly privateKey?: string },
  mode: string,
  path: string,
): readonly Issue[] {
  const issues: Issue[] = [];
  if (!isGiven(pair.serverCertificate)) {
    issues.push(errorIssue(`${path}.serverCertificate`, `${mode} TLS requires a server certificate`, "required"));
  }
  if (!isGiven(pair.privateKey)) {
    issues.push(errorIssue(`${path}.privateKey`, `${mode} TLS requires a private key`, "required"));
  }
  return issues;
}

const VERSIONS = ["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"];

function checkVersions({ minProtocolVersion, maxProtocolVersion }: ServerTls, path: string): readonly Issue[] {
  const min = VERSIONS.indexOf(minProtocolVersion ?? "TLS_AUTO");
  const max = VERSIONS.indexOf(maxProtocolVersion ?? "TLS_AUTO");
  if (max <= 0 || min <= max) return [];
  return [errorIssue(`${path}.minProtocolVersion`, "TLS min protocol version is above the max protocol version")];
}

/** Those that Envoy and node:tls have in common; TLS 1.3 chooses its own. */
const CIPHERS: ReadonlySet<string> = new Set([
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "AES128-SHA",
  "AES256-SHA",
]);

export function isCipher(name: string): boolean {
  return CIPHERS.has(name);
}

function checkCiphers({ cipherSuites = [] }: ServerTls, path: string): readonly Issue[] {
  return cipherSuites.flatMap((name, i) => {
    const at = `${path}.cipherSuites[${i}]`;
    if (!CIPHERS.has(name))
      return [warningIssue(at, `${quote(name)} is not a cipher suite that can be chosen; it is left out`)];
    return cipherSuites.indexOf(name) === i ? [] : [warningIssue(at, `${quote(name)} is already in the list`)];
  });
}

function isGiven(value: string | readonly unknown[] | undefined): boolean {
  return value !== undefined && value.length > 0;
}
