// A Jaeger agent that only listens: every datagram becomes a line of its log, in base64.

import { createSocket } from "node:dgram";

const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
socket.on("message", (bytes) => console.log(`datagram ${bytes.toString("base64")}`));
socket.bind(6831, process.env.HOST ?? "0.0.0.0", () => console.log("listening on 6831/UDP"));
process.on("SIGTERM", () => process.exit(0));
