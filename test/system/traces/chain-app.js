// One of a chain of services: a span of its own by OTLP, as an OpenTelemetry SDK would make it, and a call to the next.
//   node chain-app.js NAME OTLP_URL [NEXT_URL]
// It shares no code with weft. Without a next service it is the last, whose first two answers to a trace are 503.

import { randomBytes } from "node:crypto";
import http from "node:http";

const [name, otlp, next] = process.argv.slice(2);
const KEPT = ["tracestate", "baggage", "x-request-id"];
const seen = new Map();
// Node's own agent would find the proxy by itself, and take the address for the host.
const agent = new http.Agent({ keepAlive: true });

function call(url, headers) {
  const target = new URL(url);
  const proxy = process.env.http_proxy ? new URL(process.env.http_proxy) : target;
  return new Promise((resolve, reject) => {
    const path = proxy === target ? target.pathname : target.href;
    const options = {
      agent,
      host: proxy.hostname,
      port: proxy.port || 80,
      path,
      headers: { ...headers, host: target.host },
    };
    const request = http.request(options, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode, body }));
    });
    request.on("error", reject);
    request.end();
  });
}

function report({ traceId, spanId, parentSpanId, startMs, status }) {
  const text = (key, stringValue) => ({ key, value: { stringValue } });
  const span = {
    traceId,
    spanId,
    parentSpanId,
    name: `work of ${name}`,
    kind: 1,
    startTimeUnixNano: `${startMs}000000`,
    endTimeUnixNano: `${Date.now()}000000`,
    status: status >= 500 ? { code: 2 } : {},
  };
  const resource = { attributes: [text("service.name", `${name}-app`)] };
  const body = JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] });
  const request = http.request(`${otlp}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
  });
  request.on("error", (error) => console.log(error.message));
  request.on("response", (response) => response.resume());
  request.end(body);
}

const server = http.createServer(async (request, response) => {
  const startMs = Date.now();
  const [, traceId, parentSpanId] = (request.headers.traceparent ?? "").split("-");
  const spanId = randomBytes(8).toString("hex");
  let status = 200;
  let body = JSON.stringify(request.headers);
  if (next === undefined) {
    const count = (seen.get(traceId) ?? 0) + 1;
    seen.set(traceId, count);
    if (count < 3) status = 503;
  } else {
    const kept = KEPT.flatMap((key) => (request.headers[key] ? [[key, request.headers[key]]] : []));
    const answer = await call(next, { ...Object.fromEntries(kept), traceparent: `00-${traceId}-${spanId}-01` }).catch(
      (error) => ({ status: 502, body: error.stack }),
    );
    ({ status, body } = answer);
  }
  if (traceId) report({ traceId, spanId, parentSpanId, startMs, status });
  response.writeHead(status, { "content-type": "application/json" }).end(body);
});
server.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? "0.0.0.0");
process.on("SIGTERM", () => process.exit(0));
