// Knocks with a certificate of its choice, past any sidecar, and prints what came of it.
//   node tls-client.js '{"host":"10.1.2.3","port":8080,"alpn":["istio-http/1.1"],"cert":"file","key":"file"}'

import fs from "node:fs";
import tls from "node:tls";

const plan = JSON.parse(process.argv[2] ?? "{}");
const outcome = { secure: false, answer: "", error: undefined };
const socket = tls.connect({
  host: plan.host,
  port: plan.port,
  servername: plan.servername,
  ALPNProtocols: plan.alpn,
  rejectUnauthorized: false,
  ...(plan.cert === undefined ? {} : { cert: fs.readFileSync(plan.cert), key: fs.readFileSync(plan.key) }),
});
socket.on("secureConnect", () => {
  outcome.secure = true;
  socket.write(`GET ${plan.path ?? "/api/x"} HTTP/1.1\r\nhost: ${plan.name}\r\nconnection: close\r\n\r\n`);
});
socket.setEncoding("utf8");
socket.on("data", (chunk) => {
  outcome.answer += chunk;
});
socket.on("error", (error) => {
  outcome.error = error.code ?? error.message;
});
socket.setTimeout(8_000, () => socket.destroy(new Error("timeout of the client")));
socket.on("close", () => console.log(JSON.stringify({ ...outcome, answer: outcome.answer.slice(0, 300) })));
