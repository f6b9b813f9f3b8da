// Certificates swapped mid-flight: on both sides of a pair, under load.

import assert from "node:assert/strict";
import http from "node:http";
import { after, it } from "node:test";
import { startLoad } from "../../faults/load.ts";
import { startPair } from "../../faults/pair.ts";
import { until } from "../../faults/world.ts";
import { httpOrigin, stat } from "../proxy/harness.ts";

it("keys and certificates of both sides are swapped ten times under load and no request fails", async () => {
  const origin = await httpOrigin((request, response) => {
    request.resume().on("end", () => setTimeout(() => response.end("fine"), 1));
  });
  const pair = await startPair(origin);
  after(() => pair.close());
  // One request is under way over all swaps.
  const slow = await halfRequest(pair.port);
  const load = startLoad(pair.port, 6, "fine");
  for (let round = 0; round < 10; round += 1) {
    const before = load.served();
    await until(() => load.served() >= before + 12 || load.failures.length > 0);
    await pair.rotate();
  }
  const before = load.served();
  await until(() => load.served() >= before + 12 || load.failures.length > 0);
  await load.stop();
  assert.deepEqual(load.failures, []);
  assert.ok(load.served() >= 132, `${load.served()}`);
  assert.equal(await slow.finish(), 200);
  assert.equal(stat(pair.outbound.registry, "cluster.a.ssl.fail_verify_error"), 0);
  // Connections of the old certificates were not kept: there were handshakes after each swap.
  assert.ok(stat(pair.outbound.registry, "cluster.a.ssl.handshake") >= 10);
});

interface HalfSent {
  /** Sends the rest; the answer's status. */
  finish(): Promise<number>;
}

async function halfRequest(port: number): Promise<HalfSent> {
  const request = http.request({ host: "127.0.0.1", port, agent: false, method: "POST" });
  const response = new Promise<http.IncomingMessage>((resolve) => request.on("response", resolve));
  request.write("begin");
  await new Promise((resolve) => setTimeout(resolve, 50));
  return {
    async finish() {
      request.end("end");
      const answer = await response;
      answer.resume();
      return answer.statusCode ?? 0;
    },
  };
}
