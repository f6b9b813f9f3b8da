// The listening socket of a gRPC port: how many may come in, and how long somebody may stand in the door without a word.
// What is beyond the door has bounds of its own: a TLS handshake ends within the runtime's two minutes, a connection without
// an answer to its pings within keepalive, and so many streams are open on each.

import { createServer, type Socket } from "node:net";
import type * as grpc from "@grpc/grpc-js";
import type { Listening } from "./debug-http.ts";
import { CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, FIRST_BYTES_MIN, FIRST_BYTES_MS } from "./limits.ts";

export interface Door {
  readonly at: Listening;
  close(): void;
}

export interface DoorBounds {
  readonly connectionsMax: number;
  readonly perAddressMax: number;
  readonly firstBytesMs: number;
}

const BOUNDS: DoorBounds = {
  connectionsMax: CONNECTIONS_MAX,
  perAddressMax: CONNECTIONS_PER_ADDRESS_MAX,
  firstBytesMs: FIRST_BYTES_MS,
};

export function openDoor(
  server: grpc.Server,
  at: Listening,
  credentials: grpc.ServerCredentials,
  bounds: DoorBounds = BOUNDS,
): Promise<Door> {
  const inside = server.createConnectionInjector(credentials);
  const open = new Set<Socket>();
  const byAddress = new Map<string, number>();
  const door = createServer((socket) => {
    const address = socket.remoteAddress ?? "";
    const count = byAddress.get(address) ?? 0;
    if (count >= bounds.perAddressMax) {
      socket.destroy();
      return;
    }
    byAddress.set(address, count + 1);
    open.add(socket);
    const timer = setTimeout(() => {
      if (socket.bytesRead < FIRST_BYTES_MIN) socket.destroy();
    }, bounds.firstBytesMs);
    // One that left without a word has no listener inside yet.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      clearTimeout(timer);
      open.delete(socket);
      const left = (byAddress.get(address) ?? 1) - 1;
      if (left === 0) byAddress.delete(address);
      else byAddress.set(address, left);
    });
    inside.injectConnection(socket);
  });
  door.maxConnections = bounds.connectionsMax;
  const close = (): void => {
    door.close();
    inside.destroy();
    for (const socket of open) socket.destroy();
  };
  return new Promise((resolve, reject) => {
    door.once("error", (error) =>
      reject(new Error(`control plane: cannot listen on ${at.address}:${at.port}: ${error.message}`, { cause: error })),
    );
    door.listen({ host: at.address, port: at.port }, () => {
      const bound = door.address();
      const port = typeof bound === "object" && bound !== null ? bound.port : at.port;
      resolve({ at: { address: at.address, port }, close });
    });
  });
}
