// A version that does worse than the one before: slow, failing now and then, or failing for requests with one header.
//   node misbehaving.js v2 slow|failing|header

import http from "node:http";

const version = process.argv[2] ?? "v2";
const how = process.argv[3] ?? "slow";
const host = process.env.HOST ?? "0.0.0.0";
const port = Number(process.env.PORT ?? 8080);

function fails(request) {
  if (how === "failing") return Math.random() < 0.3;
  return how === "header" && request.headers["x-beta"] !== undefined;
}

http
  .createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    request.resume();
    const answer = () => {
      response.writeHead(fails(request) ? 500 : 200, { "x-app-version": version });
      response.end(version);
    };
    if (how === "slow") setTimeout(answer, 400);
    else answer();
  })
  .listen(port, host, () => console.log(`${version} (${how}) on ${host}:${port}`));
process.on("SIGTERM", () => process.exit(0));
