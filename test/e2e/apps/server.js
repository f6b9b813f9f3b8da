// The application of the walk: answers what it is and what it was asked, and misbehaves where a request says so.
// It shares no code with weft and knows nothing of a mesh: HOST and PORT, as any app takes them.

import http from "node:http";
import os from "node:os";

const version = process.argv[2] ?? "v1";
const host = process.env.HOST ?? "0.0.0.0";
const port = Number(process.env.PORT ?? 8080);
const pod = process.env.HOSTNAME ?? os.hostname();

const handler = (request, response) => {
  const url = new URL(request.url, "http://app");
  const id = request.headers["x-walk-id"];
  if (id !== undefined) console.log(`${id} ${request.method} ${request.url}`);
  response.setHeader("x-app-version", version);
  response.setHeader("x-app-pod", pod);
  request.resume();
  request.on("end", () => answer(url, request, response));
};

function answer(url, request, response) {
  const failing = request.headers["x-fail-pod"];
  const status = Number(url.searchParams.get("status") ?? 200);
  if (failing === pod || failing === "all") return send(response, 500, "failing as asked");
  if (url.pathname.endsWith("/hang")) return undefined;
  if (url.pathname.endsWith("/reset")) return request.socket.destroy();
  const delayMs = Number(url.searchParams.get("delayMs") ?? 0);
  const body = JSON.stringify({ version, pod, method: request.method, path: url.pathname, headers: request.headers });
  if (delayMs > 0) return setTimeout(() => send(response, status, body), delayMs);
  return send(response, status, body);
}

function send(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(body);
}

for (const listenPort of [port, port + 1]) {
  http
    .createServer({ keepAliveTimeout: 60_000 }, handler)
    .listen(listenPort, host, () => console.log(`${version} on ${host}:${listenPort}`));
}
process.on("SIGTERM", () => process.exit(0));
