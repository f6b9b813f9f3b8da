// What every service of the shop shares: listening where it is told to, answering JSON, leaving when asked.

import http from "node:http";
import { call } from "./call.js";

/** `answer` takes the request's URL and the request, and gives { status, body }. */
export function serve(name, answer) {
  const server = http.createServer(async (request, response) => {
    request.resume();
    const url = new URL(request.url, "http://shop");
    const { status, body } =
      url.pathname === "/healthz" ? { status: 200, body: { healthy: true } } : await answer(url, request);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(`${JSON.stringify(body)}\n`);
  });
  const host = process.env.HOST || "0.0.0.0";
  const port = Number(process.env.PORT || 8080);
  server.listen(port, host, () => log({ kind: "listening", name, host, port }));
  process.on("SIGTERM", () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => process.exit(0), 2_000).unref();
  });
  probe(name);
}

export function log(record) {
  console.log(JSON.stringify({ time: new Date().toISOString(), ...record }));
}

/** Asks each service named in PROBES now and then, so that the log shows who may call whom. */
export function probe(name) {
  const targets = (process.env.PROBES || "").split(" ").filter((target) => target !== "");
  const everyMs = Number(process.env.PROBE_EVERY_MS || 2_000);
  const round = async () => {
    for (const target of targets) {
      const { status } = await call("GET", target, { timeoutMs: 3_000 });
      log({ kind: "probe", from: name, to: new URL(target).hostname, status });
    }
    setTimeout(round, everyMs);
  };
  if (targets.length > 0) setTimeout(round, 200);
}
