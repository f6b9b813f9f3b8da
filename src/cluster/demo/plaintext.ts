// A client outside the mesh: what it gets without a certificate, and whose certificate it is shown.

import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { err, ok, type Result } from "../../base/result.ts";

export type PlainOutcome = "refused" | "answered" | "unreachable";

export interface Target {
  readonly ip: string;
  /** Where the sidecar takes traffic for the application from others. */
  readonly port: number;
  /** Which port is meant, where the address can't say. */
  readonly serverName: string | undefined;
}

const TIMEOUT_MS = 2_000;

/** Explicit mode has one inbound port for all; elsewhere the application's own port leads to the sidecar. */
export function inboundTarget(mode: "transparent" | "explicit", ip: string, port: number): Target {
  return mode === "explicit"
    ? { ip, port: 15_006, serverName: `inbound-${port}.weft.internal` }
    : { ip, port, serverName: undefined };
}

export function askInPlaintext(target: Target): Promise<PlainOutcome> {
  const { promise, resolve } = Promise.withResolvers<PlainOutcome>();
  let connected = false;
  const socket = connect({ host: target.ip, port: target.port });
  const finish = (outcome: PlainOutcome): void => {
    socket.destroy();
    resolve(outcome);
  };
  socket.setTimeout(TIMEOUT_MS, () => finish(connected ? "refused" : "unreachable"));
  socket.on("connect", () => {
    connected = true;
    socket.write("GET /healthz HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n");
  });
  socket.on("data", (data) => finish(data.toString("latin1").startsWith("HTTP/") ? "answered" : "refused"));
  socket.on("error", () => finish(connected ? "refused" : "unreachable"));
  socket.on("close", () => finish(connected ? "refused" : "unreachable"));
  return promise;
}

/** The SPIFFE URI of the certificate that a server shows; it refuses this client later, which is no matter here. */
export function shownIdentity(target: Target): Promise<Result<string, string>> {
  const { promise, resolve } = Promise.withResolvers<Result<string, string>>();
  const socket = connectTls({
    host: target.ip,
    port: target.port,
    ALPNProtocols: ["istio"],
    rejectUnauthorized: false,
    ...(target.serverName === undefined ? {} : { servername: target.serverName }),
  });
  const finish = (outcome: Result<string, string>): void => {
    socket.destroy();
    resolve(outcome);
  };
  socket.setTimeout(TIMEOUT_MS, () => finish(err(`no handshake within ${TIMEOUT_MS} ms`)));
  socket.on("secureConnect", () => {
    const names = socket.getPeerCertificate().subjectaltname ?? "";
    const uri = /URI:([^,\s]+)/.exec(names)?.[1];
    finish(uri === undefined ? err(`the certificate has no URI, but: ${names}`) : ok(uri));
  });
  socket.on("error", (error) => finish(err(error.message)));
  return promise;
}
