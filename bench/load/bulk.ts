// Bytes through the proxy as fast as they come, read into one buffer that is never looked at.

import net from "node:net";
import type { LoadAnswer, LoadCommand } from "./command.ts";

type BulkCommand = Extract<LoadCommand, { kind: "bulk" }>;

const READ_BYTES = 256 * 1024;
const WARM_MS = 300;

export async function runBulk(command: BulkCommand): Promise<LoadAnswer> {
  let bytes = 0;
  let failures = 0;
  const sockets = Array.from({ length: command.connections }, () => {
    const socket = net.connect({
      port: command.port,
      host: "127.0.0.1",
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (count) => {
          bytes += count;
          return true;
        },
      },
    });
    socket.on("error", () => {
      failures += 1;
    });
    return socket;
  });
  await new Promise((resolve) => setTimeout(resolve, WARM_MS));
  bytes = 0;
  const startMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, command.seconds * 1000));
  const done = bytes;
  const tookSeconds = (performance.now() - startMs) / 1000;
  for (const socket of sockets) socket.destroy();
  return { done, failures, tookSeconds, p50Ms: 0, p99Ms: 0, resumed: 0 };
}
