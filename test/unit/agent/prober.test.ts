// Probes on the application's behalf: the kinds that are asked, and those that fail by name without holding up the sidecar.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { probe, readProbers } from "../../../src/agent/prober.ts";

/** grpc.health.v1.Health with one service that serves and one that doesn't. */
async function healthServer(): Promise<number> {
  const server = new Server();
  const check = {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestSerialize: ({ service }: { service: string }) => Buffer.from(service),
    requestDeserialize: (bytes: Buffer) => ({ service: bytes.subarray(2).toString() }),
    responseSerialize: (state: number) => Buffer.from([0x08, state]),
    responseDeserialize: (bytes: Buffer) => bytes[1] ?? 0,
  };
  server.addService(
    { check },
    {
      check: (call: { request: { service: string } }, reply: (error: null, state: number) => void) =>
        reply(null, call.request.service === "down" ? 2 : 1),
    },
  );
  after(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

test("gRPC probes are asked; a kind that can't be is refused when it is asked, not at start", async () => {
  const port = await healthServer();
  const probers = readProbers(
    JSON.stringify({
      "/app-health/a/livez": { grpc: { port } },
      "/app-health/a/readyz": { grpc: { port, service: "down" } },
      "/app-health/a/startupz": { exec: { command: ["true"] } },
    }),
  );
  assert.ok(probers.ok);
  const ask = async (kind: string) => {
    const prober = probers.value.get(`/app-health/a/${kind}`);
    assert.ok(prober !== undefined);
    return probe(prober, "127.0.0.1");
  };
  assert.deepEqual(await ask("livez"), { healthy: true, message: `127.0.0.1:${port}: SERVING` });
  assert.deepEqual(await ask("readyz"), { healthy: false, message: `127.0.0.1:${port}: NOT_SERVING` });
  const refused = await ask("startupz");
  assert.equal(refused.healthy, false);
  assert.match(refused.message, /startupz: only httpGet, tcpSocket and grpc/);
});
