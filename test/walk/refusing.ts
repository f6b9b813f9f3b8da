// A port where nobody listens and nobody else can: one that was merely free is soon another test's.

import { type AddressInfo, connect, createServer } from "node:net";

export interface RefusingPort {
  readonly port: number;
  close(): void;
}

/** The client's end of a connection holds the port; connecting to it is refused. */
export async function refusingPort(): Promise<RefusingPort> {
  const server = createServer((socket) => socket.on("error", () => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect(portOf(server.address()), "127.0.0.1");
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  return {
    port: socket.localPort ?? 0,
    close() {
      socket.destroy();
      server.close();
    },
  };
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === "object" && address !== null ? address.port : 0;
}
