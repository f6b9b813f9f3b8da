// A CONNECT ahead of a TCP session: the upstream is asked to connect to somewhere else, and bytes follow once it has.

import type { Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { TUNNEL_ANSWER_BYTES_MAX } from "../limits.ts";

export interface TunnelListener {
  /** `first`: what came behind the answer. */
  onOpen(first: Buffer): void;
  onRefused(message: string): void;
}

export interface Tunnel {
  /** `host:port`. */
  readonly to: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

const END = "\r\n\r\n";

/** On a connection that nobody reads yet. */
export function openTunnel(socket: Socket, { to, timeoutMs, clock }: Tunnel, listener: TunnelListener): void {
  let answer = Buffer.alloc(0);
  let settled = false;
  const settle = (): boolean => {
    if (settled) return false;
    settled = true;
    timer.cancel();
    socket.off("data", read);
    socket.off("error", fail);
    socket.off("close", closed);
    return true;
  };
  const refuse = (message: string): void => {
    if (!settle()) return;
    socket.on("error", ignore);
    socket.destroy();
    listener.onRefused(`tunnel to ${to}: ${message}`);
  };
  const fail = (error: Error) => refuse(error.message);
  const closed = () => refuse("the connection was closed before the answer");
  const read = (bytes: Buffer): void => {
    answer = Buffer.concat([answer, bytes]);
    const end = answer.indexOf(END);
    if (end < 0) {
      if (answer.length > TUNNEL_ANSWER_BYTES_MAX) refuse("the answer's head is too long");
      return;
    }
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(answer.toString("latin1", 0, end))?.[1];
    if (status?.startsWith("2") !== true) {
      refuse(status === undefined ? "the answer is no HTTP/1.1" : `the answer is ${status}`);
      return;
    }
    if (!settle()) return;
    socket.pause();
    listener.onOpen(answer.subarray(end + END.length));
  };
  const timer = clock.after(timeoutMs, () => refuse(`no answer within ${timeoutMs} ms`));
  socket.on("data", read);
  socket.on("error", fail);
  socket.on("close", closed);
  socket.write(`CONNECT ${to} HTTP/1.1\r\nhost: ${to}\r\n\r\n`);
}

function ignore(): void {
  // What became of it has been told.
}
