// Certificates that should have been renewed are told as Events on their pods, each once for how little is left.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { it } from "node:test";
import { eventKind } from "../../../src/api/kubernetes/event.ts";
import { VirtualClock } from "../../../src/base/clock.ts";
import { ExpiryEvents } from "../../../src/control/expiry-event.ts";
import { Node } from "../../../src/proto/gen/envoy/config/core/v3/base.ts";
import { readNode } from "../../../src/translate/proxy.ts";
import { API } from "../../attacks/certificates.ts";
import { certify } from "../pki.ts";
import { startMesh, until } from "./mesh.ts";

const HOUR_MS = 3_600_000;

it("a pod whose certificate isn't renewed has an Event at a quarter, a tenth and the end of its time", async (context) => {
  const mesh = await startMesh(context);
  await mesh.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: production}");
  const { pem } = await certify({ subject: "CN=api", names: [{ type: "url", value: API }], fromDays: 0, days: 1 });
  const node = readNode(Node.fromPartial({ id: "sidecar~10.0.0.1~api-1.production~production.svc.cluster.local" }));
  assert.ok(node.ok);
  const stream = { proxy: node.value, certificate: new X509Certificate(pem).raw };
  const clock = new VirtualClock(Date.now());
  const events = new ExpiryEvents({ client: mesh.client, clock, streams: () => [stream], log: () => undefined });
  context.after(() => events.stop());
  const messages = async (): Promise<readonly string[]> => {
    const listed = await mesh.client.list(eventKind, { namespace: "production" });
    assert.ok(listed.ok);
    const own = listed.value.filter(({ reason }) => reason === "CertificateExpiring");
    assert.ok(own.every(({ involvedObject }) => involvedObject.name === "api-1"));
    return own.map(({ message = "" }) => message);
  };
  clock.advance(17 * HOUR_MS);
  assert.deepEqual(await messages(), []);
  for (const [hours, count] of [
    [2, 1],
    [3, 2],
    [2.5, 3],
  ] as const) {
    clock.advance(hours * HOUR_MS);
    await until(`${count} Events`, async () => (await messages()).length === count);
  }
  const all = await messages();
  assert.equal(all.filter((message) => /was not renewed at half of its time/.test(message)).length, 2);
  assert.equal(all.filter((message) => /ended at .*: others refuse it/.test(message)).length, 1);
});
