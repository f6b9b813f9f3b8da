// What node:http's parser (llhttp, strict) makes of bytes: without a socket, so that thousands take a second.

import http, { type IncomingMessage } from "node:http";
import { Duplex } from "node:stream";

export interface Parsed {
  /** `METHOD TARGET HOST BODY` of each complete request. */
  readonly requests: readonly string[];
  /** The parser's code for what is wrong behind them; undefined: nothing is. */
  readonly error: string | undefined;
}

export async function parseByLlhttp(text: string): Promise<Parsed> {
  const requests: string[] = [];
  let error: string | undefined;
  const server = http.createServer({ maxHeaderSize: 1 << 20, requireHostHeader: false });
  const take = (request: IncomingMessage, response: http.ServerResponse) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString("latin1");
    });
    request.on("end", () => {
      requests.push(`${request.method} ${request.url} ${request.headers.host ?? ""} ${JSON.stringify(body)}`);
    });
    response.end();
  };
  server.on("request", take);
  server.on("checkContinue", take);
  server.on("checkExpectation", take);
  server.on("connect", (request: IncomingMessage, socket: Duplex) => {
    requests.push(`CONNECT ${request.url}`);
    socket.destroy();
  });
  server.on("clientError", (reason: Error & { code?: string }, socket: Duplex) => {
    error ??= reason.code ?? reason.message;
    // Requests that were read before are still on their way to their listeners.
    setImmediate(() => socket.destroy());
  });
  const socket = new Duplex({
    read() {
      // Bytes are pushed below.
    },
    write(_chunk, _encoding, done) {
      done();
    },
  });
  server.emit("connection", socket);
  socket.push(Buffer.from(text, "latin1"));
  socket.push(null);
  await new Promise<void>((resolve) => {
    socket.on("close", resolve);
    setTimeout(resolve, 200).unref();
  });
  return { requests, error };
}
