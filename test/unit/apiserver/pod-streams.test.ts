import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import tls from "node:tls";
import WebSocket from "ws";
import { pod, startTestServer, type TestServer } from "./support/server.ts";

const POD = "/api/v1/namespaces/default/pods/a";

interface ExecResult {
  readonly output: Readonly<Record<number, string>>;
  readonly status: { readonly status: string; readonly message?: string; readonly details?: unknown };
}

function exec(server: TestServer, query: string, options: { protocol: string; stdin?: string }): Promise<ExecResult> {
  const { host, port } = server.api.address;
  const socket = new WebSocket(`wss://${host}:${port}${POD}/exec?${query}`, [options.protocol], {
    ca: server.api.caPem,
    headers: { authorization: `Bearer ${server.token}` },
  });
  const output: Record<number, string> = {};
  return new Promise((resolve, reject) => {
    socket.on("open", () => {
      if (options.stdin === undefined) return;
      socket.send(Buffer.concat([Buffer.from([0]), Buffer.from(options.stdin)]));
      socket.send(Buffer.from([255, 0]));
    });
    socket.on("message", (data: Buffer) => {
      const channel = data[0] ?? -1;
      output[channel] = (output[channel] ?? "") + data.subarray(1).toString();
    });
    socket.on("close", () => resolve({ output, status: JSON.parse(output[3] ?? "{}") }));
    socket.on("unexpected-response", (_request, response) => reject(new Error(`status ${response.statusCode}`)));
    socket.on("error", reject);
  });
}

test("exec carries output, input and the exit code, in both protocols", async (context) => {
  const server = await startTestServer(context);
  await server.call("POST", "/api/v1/namespaces/default/pods", pod("a"));
  const script = encodeURIComponent("echo out; echo err >&2; exit 7");
  for (const protocol of ["v5.channel.k8s.io", "v4.channel.k8s.io"]) {
    const query = `command=sh&command=-c&command=${script}&stdout=true&stderr=true`;
    const { output, status } = await exec(server, query, { protocol });
    assert.deepEqual([output[1], output[2]], ["out\n", "err\n"]);
    assert.deepEqual(status.details, { causes: [{ reason: "ExitCode", message: "7" }] });
  }
  const large = "x".repeat(300_000);
  const piped = await exec(server, "command=cat&stdin=true&stdout=true", {
    protocol: "v5.channel.k8s.io",
    stdin: large,
  });
  assert.equal(piped.output[1], large);
  assert.equal(piped.status.status, "Success");
});

test("with -t, keys become lines and line feeds get their carriage return", async (context) => {
  const server = await startTestServer(context);
  await server.call("POST", "/api/v1/namespaces/default/pods", pod("a"));
  const query = "command=cat&stdin=true&stdout=true&tty=true";
  const keys = "hex\x7fllo\r\x04";
  const { output, status } = await exec(server, query, { protocol: "v4.channel.k8s.io", stdin: keys });
  assert.equal(status.status, "Success");
  assert.match(output[1] ?? "", /^weft: no terminal on this system.*\r\nhex\x08 \x08llo\r\nhello\r\n$/);
});

test("exec is refused for a container or a pod that is not there, and without a credential", async (context) => {
  const server = await startTestServer(context);
  await server.call("POST", "/api/v1/namespaces/default/pods", pod("a"));
  const protocol = "v5.channel.k8s.io";
  await assert.rejects(exec(server, "command=ls&container=zz&stdout=true", { protocol }), /status 400/);
  await assert.rejects(exec(server, "stdout=true", { protocol }), /status 400/);
  await assert.rejects(exec({ ...server, token: "wrong" }, "command=ls&stdout=true", { protocol }), /status 401/);
  await server.call("DELETE", POD);
  await assert.rejects(exec(server, "command=ls&stdout=true", { protocol }), /status 404/);
});

test("a container that does not run says so, in kubectl's older protocol too", async (context) => {
  const server = await startTestServer(context);
  await server.call("POST", "/api/v1/namespaces/default/pods", pod("a"));
  const waiting = {
    name: "app",
    ready: false,
    restartCount: 1,
    image: "x",
    imageID: "",
    state: { waiting: { reason: "CrashLoopBackOff" } },
  };
  const body = { status: { containerStatuses: [waiting] } };
  const patched = await server.call("PATCH", `${POD}/status`, body, { type: "application/merge-patch+json" });
  assert.equal(patched.code, 200);
  const refused = await spdyRefusal(server, "command=ls&stdout=true");
  assert.match(refused, /^HTTP\/1.1 500 /);
  assert.match(refused, /container \\"app\\" is not running: CrashLoopBackOff/);
});

function spdyRefusal(server: TestServer, query: string): Promise<string> {
  const { host, port } = server.api.address;
  const socket = tls.connect({ host, port, ca: server.api.caPem });
  socket.write(
    `POST ${POD}/exec?${query} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${server.token}\r\n` +
      "connection: upgrade\r\nupgrade: SPDY/3.1\r\ncontent-length: 0\r\n\r\n",
  );
  return text(socket);
}

test("logs: the container is found or asked for, and options are checked", async (context) => {
  const server = await startTestServer(context);
  await server.call("POST", "/api/v1/namespaces/default/pods", pod("a"));
  assert.equal((await server.call("GET", `${POD}/log`)).body, "app says one\napp says two\n");
  assert.equal((await server.call("GET", `${POD}/log?tailLines=1`)).body, "app says two\n");
  assert.equal((await server.call("GET", `${POD}/log?tailLines=x`)).code, 400);
  const wrong = await server.call("GET", `${POD}/log?container=zz`);
  assert.deepEqual([wrong.code, wrong.body.message], [400, "container zz is not valid for pod a"]);
  const two = {
    ...pod("b"),
    spec: {
      containers: [
        { name: "x", image: "x" },
        { name: "y", image: "y" },
      ],
    },
  };
  await server.call("POST", "/api/v1/namespaces/default/pods", two);
  const which = await server.call("GET", "/api/v1/namespaces/default/pods/b/log");
  assert.match(which.body.message, /choose one of: \[x y\]/);
});
