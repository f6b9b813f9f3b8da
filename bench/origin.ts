// A fixed answer, as cheaply as Node can give it: what is measured is the proxy's own CPU.

import net from "node:net";

export interface Origin {
  readonly port: number;
  stop(): void;
}

const BODY = Buffer.alloc(1024, "x");
const ANSWER = Buffer.concat([
  Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${BODY.length}\r\n\r\n`),
  BODY,
]);
const END_OF_HEAD = Buffer.from("\r\n\r\n");

export async function startOrigin(): Promise<Origin> {
  const server = net.createServer((socket) => {
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      const requests = countHeads(chunk);
      socket.write(requests === 1 ? ANSWER : Buffer.concat(Array.from({ length: requests }, () => ANSWER)));
    });
    socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the origin has no port");
  server.unref();
  return { port: address.port, stop: () => server.close() };
}

function countHeads(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(END_OF_HEAD); at !== -1; at = chunk.indexOf(END_OF_HEAD, at + 4)) count += 1;
  return count;
}
