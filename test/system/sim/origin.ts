// Every server of the mesh at once: each port on all addresses. It takes off one TLS after the other, and says what it saw.

import assert from "node:assert/strict";
import net from "node:net";
import tls from "node:tls";

/** One TLS around what was sent: outermost first. */
export interface Layer {
  readonly sni: string;
  readonly alpn: string;
  /** The client's identity, where it showed a certificate. */
  readonly peer: string;
}

export interface Arrival {
  /** `10.244.1.1:8080`. */
  readonly at: string;
  readonly layers: readonly Layer[];
  readonly http?: { readonly path: string; readonly host: string };
}

/** The certificate of the pod at an address. */
export type CertificateAt = (address: string) => tls.SecureContext;

export async function startOrigin(
  ports: readonly number[],
  addresses: readonly string[],
  certificateAt: CertificateAt,
): Promise<() => void> {
  const servers: net.Server[] = [];
  for (const port of ports) {
    for (const address of addresses) {
      const server = net.createServer((socket) => serve(socket, certificateAt));
      servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, address, resolve);
      });
    }
  }
  return () => {
    for (const server of servers) server.close();
  };
}

function serve(socket: net.Socket, certificateAt: CertificateAt): void {
  const at = `${socket.localAddress}:${socket.localPort}`;
  const context = certificateAt(socket.localAddress ?? "");
  const peel = (inner: net.Socket, layers: readonly Layer[]): void => {
    inner.on("error", () => inner.destroy());
    firstBytes(inner, (bytes) => {
      if (bytes[0] !== 0x16) {
        answer(inner, bytes, { at, layers });
        return;
      }
      inner.unshift(bytes);
      const secured = new tls.TLSSocket(inner, {
        isServer: true,
        secureContext: context,
        requestCert: true,
        rejectUnauthorized: false,
        ALPNCallback: ({ protocols }) => protocols[0],
      });
      secured.once("secure", () => peel(secured, [...layers, layerOf(secured)]));
      secured.on("error", () => inner.destroy());
    });
  };
  peel(socket, []);
}

function firstBytes(socket: net.Socket, take: (bytes: Buffer) => void): void {
  socket.once("readable", () => {
    const bytes: unknown = socket.read();
    if (Buffer.isBuffer(bytes)) take(bytes);
    else if (!socket.readableEnded) firstBytes(socket, take);
  });
}

function layerOf(socket: tls.TLSSocket): Layer {
  const names = socket.getPeerCertificate().subjectaltname ?? "";
  return {
    sni: typeof socket.servername === "string" ? socket.servername : "",
    alpn: typeof socket.alpnProtocol === "string" ? socket.alpnProtocol : "",
    peer: /URI:([^,]+)/.exec(names)?.[1] ?? "",
  };
}

function answer(socket: net.Socket, bytes: Buffer, arrival: Arrival): void {
  const text = bytes.toString("latin1");
  const request = /^[A-Z]+ (\S+) HTTP\/1\.1\r\n/.exec(text);
  if (request === null) {
    socket.end(`${JSON.stringify(arrival)}\n`);
    return;
  }
  const host = /\r\nhost: *([^\r]*)/i.exec(text)?.[1] ?? "";
  const body = JSON.stringify({ ...arrival, http: { path: request[1], host } });
  assert.ok(text.includes("\r\n\r\n"), "a request head comes in one piece");
  socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
}
