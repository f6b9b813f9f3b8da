// Origins as cheap as Node can make them: what is measured is the proxy.

import net from "node:net";

export const BODY_BYTES = { "1k": 1024, "64k": 64 * 1024, "1m": 1024 * 1024 } as const;

const END_OF_HEAD = Buffer.from("\r\n\r\n");
const BULK = Buffer.alloc(256 * 1024, "x");

const ANSWERS = new Map(
  Object.entries(BODY_BYTES).map(([name, bytes]) => [
    name,
    Buffer.concat([
      Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${bytes}\r\n\r\n`),
      Buffer.alloc(bytes, "x"),
    ]),
  ]),
);
const SMALL = ANSWERS.get("1k") ?? Buffer.alloc(0);

/** `GET /…/64k` is answered by 64 KB, and so on; requests without a body only. */
export function startHttpOrigin(): Promise<number> {
  return listen((socket) => {
    socket.setNoDelay(true);
    let rest = "";
    socket.on("data", (chunk: Buffer) => {
      // Nearly always one whole request.
      if (rest === "" && chunk.indexOf(END_OF_HEAD) === chunk.length - 4) {
        socket.write(answerOf(chunk.toString("latin1", 0, 64)));
        return;
      }
      rest += chunk.toString("latin1");
      for (let end = rest.indexOf("\r\n\r\n"); end !== -1; end = rest.indexOf("\r\n\r\n")) {
        socket.write(answerOf(rest));
        rest = rest.slice(end + 4);
      }
    });
  });
}

function answerOf(head: string): Buffer {
  const path = head.slice(0, head.indexOf(" HTTP/"));
  return ANSWERS.get(path.slice(path.lastIndexOf("/") + 1)) ?? SMALL;
}

/** Writes as long as there is room. */
export function startBulkOrigin(): Promise<number> {
  return listen((socket) => {
    const fill = () => {
      while (!socket.destroyed && socket.write(BULK));
    };
    socket.on("drain", fill);
    socket.resume();
    fill();
  });
}

function listen(serve: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    serve(socket);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("the origin has no port"));
      else resolve(address.port);
    });
  });
}
