// Sends the requests that a test's plan asks for, from inside a pod, and prints one JSON line of what came back.
//   node client.js '{"url":"http://api:8080/api/x","count":100,"concurrency":10}'
// Honours http_proxy, as applications do; otherwise knows nothing of a mesh.

import http from "node:http";

const plan = JSON.parse(process.argv[2] ?? "{}");
const {
  url,
  count = 1,
  durationMs,
  concurrency = 1,
  spacingMs = 0,
  method = "GET",
  headers = {},
  timeoutMs = 20_000,
} = plan;
const target = new URL(url);
const proxy = plan.direct === true ? undefined : process.env.http_proxy;
const agent = new http.Agent({ keepAlive: plan.keepAlive ?? true, maxSockets: Infinity });
const startedMs = performance.now();
const results = [];
let begun = 0;

function wanted() {
  return durationMs === undefined ? begun < count : performance.now() - startedMs < durationMs;
}

function once() {
  return new Promise((resolve) => {
    const atMs = performance.now() - startedMs;
    const done = (outcome) =>
      resolve(
        results.push({ atMs: Math.round(atMs), tookMs: Math.round(performance.now() - startedMs - atMs), ...outcome }),
      );
    const options =
      proxy === undefined
        ? { host: target.hostname, port: target.port || 80, path: target.pathname + target.search }
        : { host: new URL(proxy).hostname, port: new URL(proxy).port, path: url };
    const request = http.request(
      { ...options, method, agent, headers: { host: target.host, ...headers } },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => {
          body += chunk;
        });
        response.on("error", (error) => done({ error: error.code ?? error.message }));
        response.on("end", () =>
          done({
            status: response.statusCode,
            version: response.headers["x-app-version"],
            pod: response.headers["x-app-pod"],
            ...(plan.full ? { headers: response.headers, body } : pick(response.headers, body)),
          }),
        );
      },
    );
    request.setTimeout(timeoutMs, () => request.destroy(new Error("timeout of the client")));
    request.on("error", (error) => done({ error: error.code ?? error.message }));
    if (plan.body !== undefined) request.write(plan.body);
    request.end();
  });
}

// What a test needs of an answer that the app did not give.
function pick(found, body) {
  if (found["x-app-version"] !== undefined) return {};
  return { overloaded: found["x-envoy-overloaded"], cause: found["x-weft-cause"], body: body.slice(0, 200) };
}

async function worker() {
  while (wanted()) {
    begun += 1;
    await once();
  }
}

if (spacingMs > 0) {
  const all = [];
  for (; begun < count; begun += 1) {
    all.push(once());
    await new Promise((resolve) => setTimeout(resolve, spacingMs));
  }
  await Promise.all(all);
} else {
  await Promise.all(Array.from({ length: concurrency }, worker));
}
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0));
