// One HTTP call, through the proxy that http_proxy names where it is set: node:http doesn't do that by itself.

import http from "node:http";

/** Connections are kept, as any real client does. */
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

/** Resolves to { status, body, milliseconds }; status is 0 when no answer came, and body says why. */
export function call(method, url, { headers = {}, timeoutMs = 15_000 } = {}) {
  const target = new URL(url);
  const proxy = process.env.http_proxy ? new URL(process.env.http_proxy) : undefined;
  const started = performance.now();
  return new Promise((resolve) => {
    const finish = (status, body) => resolve({ status, body, milliseconds: performance.now() - started });
    const request = http.request({
      agent,
      method,
      host: proxy ? proxy.hostname : target.hostname,
      port: proxy ? proxy.port : target.port || 80,
      path: proxy ? target.href : target.pathname + target.search,
      headers: { ...headers, host: target.host },
      timeout: timeoutMs,
    });
    request.on("timeout", () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    request.on("error", (error) => finish(0, error.message));
    request.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => finish(response.statusCode, body));
      response.on("error", (error) => finish(0, error.message));
    });
    request.end();
  });
}

// Run by hand: node call.js GET http://api:8080/api/products [header:value …]
if (process.argv[1] === import.meta.filename) {
  const [method = "GET", url = "http://api:8080/api/products", ...pairs] = process.argv.slice(2);
  const headers = Object.fromEntries(pairs.map((pair) => pair.split(/:\s*/, 2)));
  const answer = await call(method, url, { headers });
  console.log(`${answer.status} ${answer.body.trim()}`);
  process.exit(answer.status >= 200 && answer.status < 400 ? 0 : 1);
}
