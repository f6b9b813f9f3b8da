// A call of the table on real sockets. The firewall tells its direction by the client's port.

import net from "node:net";
import tls from "node:tls";
import { isRecord } from "../../../src/base/json.ts";
import type { SimCall } from "../../sim/call.ts";
import type { Arrival } from "./origin.ts";

export const CLIENT_PORTS = { outbound: [20_000, 24_999], inbound: [25_000, 29_999] } as const;
const TIMEOUT_MS = 8_000;

/** What the caller got: an answer with its status, the origin's words about what arrived, or nothing. */
export interface Answer {
  readonly status?: number;
  readonly location?: string;
  readonly body?: string;
  readonly arrival?: Arrival;
  readonly failure?: string;
}

export interface ClientCertificate {
  readonly key: string;
  readonly cert: string;
}

let turn = 0;

export async function makeCall(call: SimCall, mesh: ClientCertificate): Promise<Answer> {
  const colon = call.to.lastIndexOf(":");
  const target = { host: call.to.slice(0, colon), port: Number(call.to.slice(colon + 1)) };
  const range = call.direction === "direct" ? undefined : CLIENT_PORTS[call.direction];
  const local = range === undefined ? {} : { localPort: range[0] + (turn++ % (range[1] - range[0])) };
  const localAddress = call.from ?? (call.direction === "outbound" ? "10.244.0.9" : undefined);
  const socket = net.connect({ ...target, ...local, ...(localAddress === undefined ? {} : { localAddress }) });
  const secured = call.tls === undefined ? socket : wrap(socket, call.tls, mesh);
  const text = await exchange(secured, socket, requestOf(call));
  return text instanceof Error ? { failure: text.message } : read(text);
}

function wrap(socket: net.Socket, wanted: NonNullable<SimCall["tls"]>, mesh: ClientCertificate): tls.TLSSocket {
  return tls.connect({
    socket,
    rejectUnauthorized: false,
    ...(wanted.sni === undefined ? {} : { servername: wanted.sni }),
    ...(wanted.alpn === undefined ? {} : { ALPNProtocols: [...wanted.alpn] }),
    ...(wanted.mesh === true ? mesh : {}),
  });
}

function requestOf(call: SimCall): string {
  const { http } = call;
  if (http === undefined) return "bytes\n";
  const explicit = call.direction === "direct" && call.to.endsWith(":15001");
  const target = explicit ? `http://${http.host}${http.path ?? "/"}` : (http.path ?? "/");
  const headers = Object.entries({ Host: http.host, Connection: "close", ...http.headers });
  return `${http.method ?? "GET"} ${target} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

/** All that came until the other side closed. */
function exchange(secured: net.Socket, socket: net.Socket, request: string): Promise<string | Error> {
  return new Promise((resolve) => {
    let text = "";
    let failed: Error | undefined;
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text !== "" ? text : (failed ?? new Error("closed")));
    };
    const timer = setTimeout(() => {
      failed = new Error(`nothing for ${TIMEOUT_MS} ms`);
      finish();
    }, TIMEOUT_MS);
    secured.setEncoding("utf8");
    secured.on("data", (data) => {
      text += String(data);
      if (isWholeAnswer(text)) finish();
    });
    for (const each of new Set([secured, socket])) {
      each.on("error", (error) => {
        failed ??= error;
      });
    }
    secured.once("end", finish);
    secured.once("close", finish);
    secured.write(request);
  });
}

/** Whoever refuses may keep the connection for a while. */
function isWholeAnswer(text: string): boolean {
  const at = text.indexOf("\r\n\r\n");
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, Math.max(at, 0)))?.[1];
  return at >= 0 && length !== undefined && text.length >= at + 4 + Number(length);
}

function read(text: string): Answer {
  const head = /^HTTP\/1\.[01] (\d+)/.exec(text);
  if (head === null) return { body: text, ...arrivalOf(text) };
  const at = text.indexOf("\r\n\r\n");
  const body = text.slice(at + 4);
  const location = /\r\nlocation: *([^\r]*)/i.exec(text.slice(0, at))?.[1];
  return {
    status: Number(head[1]),
    body,
    ...(location === undefined ? {} : { location }),
    ...arrivalOf(body),
  };
}

function arrivalOf(text: string): Pick<Answer, "arrival"> {
  if (!text.startsWith("{")) return {};
  const value: unknown = JSON.parse(text);
  return isRecord(value) && "at" in value ? { arrival: value as unknown as Arrival } : {};
}
