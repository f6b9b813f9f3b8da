// A secret that does not come: how long its listener waits, what says so meanwhile, and that nothing else is held up.

import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { Bootstrap } from "../../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { DownstreamTlsContext } from "../../../src/proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import { startProxy } from "../../../src/proxy/run/proxy.ts";
import type { ResourceHandler, ResourceSource } from "../../../src/proxy/subscribe/source.ts";
import { any, chain, httpFilter, listener } from "./harness.ts";

const DIRECT = [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, directResponse: { status: 200 } }] }];

function secured(name: string, initialFetchTimeout: { seconds: number } | undefined) {
  const context = DownstreamTlsContext.fromPartial({
    commonTlsContext: {
      tlsCertificateSdsSecretConfigs: [
        {
          name,
          sdsConfig: {
            configSourceSpecifier: { $case: "ads", value: {} },
            ...(initialFetchTimeout === undefined ? {} : { initialFetchTimeout }),
          },
        },
      ],
    },
  });
  const made = chain(httpFilter({ virtualHosts: DIRECT }));
  const typedConfig = any(
    "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    DownstreamTlsContext.encode(context).finish(),
  );
  made.transportSocket = { name: "tls", configType: { $case: "typedConfig", value: typedConfig } };
  return listener([made], { name: `with ${name}` });
}

class Silent implements ResourceSource {
  readonly listeners = true;
  handler: ResourceHandler | undefined;
  asked = false;
  start(handler: ResourceHandler): void {
    this.handler = handler;
  }
  setWanted(): void {
    this.asked = true;
  }
  stop(): void {
    this.handler = undefined;
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 20));

test("listeners wait for their secret as long as their source says, or until they are told that there is none", async (t) => {
  const clock = new VirtualClock();
  const source = new Silent();
  const around = { source, localSecrets: undefined, clock, random: seededRandom(1), registry: new Registry() };
  const proxy = startProxy({ bootstrap: Bootstrap.fromPartial({}), ...around });
  t.after(() => proxy.close());
  const { handler } = source;
  assert.ok(handler !== undefined);
  const active = () => proxy.view.listeners().map(({ name }) => name);
  const waits = (name: string) => `listener with ${name}: secret ${name} has not arrived`;
  const plain = listener([chain(httpFilter({ virtualHosts: DIRECT }))], { name: "plain" });
  const all = [plain, secured("slow", undefined), secured("told", undefined), secured("needed", { seconds: 0 })];
  const changed = all.map((resource) => ({ name: resource.name, version: "1", resource }));
  assert.deepEqual(handler.onUpdate({ kind: "listener", version: "1", changed, removed: [] }), []);
  await turn();
  assert.deepEqual(active(), ["plain"], "what needs no secret serves at once");
  assert.deepEqual(proxy.view.heldUp(), ["slow", "told", "needed"].map(waits));
  assert.equal(proxy.view.state(), "INITIALIZING");

  handler.onUpdate({ kind: "secret", version: "1", changed: [], removed: ["told", "needed"] });
  await turn();
  assert.deepEqual(active(), ["plain", "with told"]);

  clock.advance(14_900);
  await turn();
  assert.deepEqual(proxy.view.heldUp(), ["slow", "needed"].map(waits));
  clock.advance(200);
  await turn();
  assert.deepEqual(active(), ["plain", "with told", "with slow"]);
  assert.deepEqual(proxy.view.heldUp(), [waits("needed")], "its source says to wait for ever");

  handler.onUpdate({ kind: "listener", version: "2", changed: [], removed: ["with needed"] });
  await proxy.ready;
  assert.equal(proxy.view.state(), "LIVE");
});
