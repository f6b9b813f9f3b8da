// kubectl port-forward: connections to a pod's ports, several through one WebSocket. Each connection is a pair of
// streams, one for its bytes and one for what goes wrong.

import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { STREAM_BUFFER_BYTES_MAX } from "./limits.ts";
import type { ContainerRef, PodRuntime } from "./pod-runtime.ts";
import { type SpdyHeaders, SpdySession } from "./spdy.ts";

export const PORT_FORWARD_PROTOCOL = "SPDY/3.1+portforward.k8s.io";

/** Resolves when the client has left. */
export function forwardPorts(socket: WebSocket, runtime: PodRuntime, ref: ContainerRef): Promise<void> {
  const errors = new Map<string, Duplex>();
  const session = new SpdySession({
    send: (bytes, sent) => {
      if (socket.readyState !== socket.OPEN) return sent();
      // The next piece is asked for once this one is out, so that a slow client holds the pod's side back.
      const isFull = socket.bufferedAmount > STREAM_BUFFER_BYTES_MAX;
      socket.send(bytes, isFull ? () => sent() : () => undefined);
      if (!isFull) sent();
    },
    onStream: (stream, headers) => {
      if (headers.get("streamtype") === "error") {
        errors.set(connectionOf(headers), stream);
        stream.resume();
      } else void join({ runtime, ref, stream, headers }, errors);
    },
    onFailure: (message) => socket.close(PROTOCOL_ERROR, message),
  });
  socket.on("message", (data) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
    socket.pause();
    void session.receive(bytes).then(() => socket.resume());
  });
  return new Promise((resolve) => {
    socket.on("error", () => socket.terminate());
    socket.on("close", () => {
      session.close();
      resolve();
    });
  });
}

const PROTOCOL_ERROR = 1002;

function connectionOf(headers: SpdyHeaders): string {
  return headers.get("requestid") ?? headers.get("port") ?? "";
}

interface Connection {
  readonly runtime: PodRuntime;
  readonly ref: ContainerRef;
  readonly stream: Duplex;
  readonly headers: SpdyHeaders;
}

async function join({ runtime, ref, stream, headers }: Connection, errors: Map<string, Duplex>): Promise<void> {
  const id = connectionOf(headers);
  const trouble = errors.get(id);
  errors.delete(id);
  const finish = (message: string): void => {
    if (trouble?.writableEnded === false) trouble.end(message);
  };
  const port = Number(headers.get("port"));
  const dialled = await runtime.dial(ref, port);
  if (!dialled.ok) {
    finish(`an error occurred forwarding to port ${port} of pod ${ref.namespace}/${ref.pod}: ${dialled.error.message}`);
    stream.end();
    return;
  }
  const target = dialled.value;
  target.on("error", (error) => {
    finish(`an error occurred forwarding to port ${port} of pod ${ref.namespace}/${ref.pod}: ${error.message}`);
    stream.end();
  });
  stream.on("close", () => target.destroy());
  target.on("close", () => {
    finish("");
    stream.end();
  });
  stream.pipe(target);
  target.pipe(stream);
}
