// Stands where the proxy will: takes what the rules lead to 15001 and 15006, says where it was meant for, and passes
// it on there. Its 15021 and 15000 answer by themselves.

import { connect, createServer, type Socket } from "node:net";
import koffi from "koffi";
import { startSidecarDns } from "../../../src/agent/dns.ts";

const getsockopt = koffi.load("libc.so.6").func("int getsockopt(int, int, int, void *, void *)");
const SOL_IP = 0;
const SO_ORIGINAL_DST = 80;

for (const port of [15001, 15006]) {
  createServer((client) => {
    const target = originalDestination(client);
    console.log(JSON.stringify({ port, target, peer: client.remoteAddress }));
    const [host = "", targetPort = "0"] = target.split(":");
    // Asked to by its environment it calls like Istio's inbound side, from 127.0.0.6.
    const source = port === 15006 ? process.env["INBOUND_SOURCE"] : process.env["OUTBOUND_SOURCE"];
    const upstream = connect({
      host,
      port: Number(targetPort),
      ...(source === undefined ? {} : { localAddress: source }),
    });
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
    client.pipe(upstream).pipe(client);
  }).listen(port, "0.0.0.0");
}
for (const [port, host] of [
  [15021, "0.0.0.0"],
  [15000, "127.0.0.1"],
] as const) {
  createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n${port}`));
  }).listen(port, host);
}
if (process.env["DNS"] === "true") await answerNames();
console.log("ready");

/** With the sidecar's own server, which knows one name and asks the node for the others. */
async function answerNames(): Promise<void> {
  const options = { host: "127.0.0.1", port: 15053, namespace: "prod", clusterDomain: "cluster.local" };
  const dns = await startSidecarDns(options);
  if (!dns.ok) throw new Error(dns.error);
  const partner = { ips: ["240.240.1.1"], registry: "External", shortname: "", namespace: "", altHosts: [] };
  dns.value.setTable({ table: { "partner.example.com": partner } });
}

function originalDestination(socket: Socket): string {
  const handle: unknown = Reflect.get(socket, "_handle");
  const fd: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : undefined;
  const address = Buffer.alloc(16);
  const length = Buffer.alloc(4);
  length.writeInt32LE(16);
  if (getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, address, length) !== 0) return "none:0";
  return `${[...address.subarray(4, 8)].join(".")}:${address.readUInt16BE(2)}`;
}
