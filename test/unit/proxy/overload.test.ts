// The overload manager: what is watched, what is turned away at which pressure, and what a bootstrap may say of it.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { OverloadManager as Message } from "../../../src/proto/gen/envoy/config/overload/v3/overload.ts";
import { FixedHeapConfig } from "../../../src/proto/gen/envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileOverload } from "../../../src/proxy/compile/overload.ts";
import { MemoryPressure } from "../../../src/proxy/run/memory-pressure.ts";
import { OverloadManager, shareOf } from "../../../src/proxy/run/overload.ts";
import { Overload } from "../../../src/proxy/stack/overload.ts";
import { file, freePort, ready, runProxy, staticBootstrap } from "../sidecar/process.ts";
import { any, httpOrigin, raw, stat } from "./harness.ts";

const HEAP = "envoy.resource_monitors.fixed_heap";
const STOP = "envoy.overload_actions.stop_accepting_requests";
const NO_KEEP_ALIVE = "envoy.overload_actions.disable_http_keepalive";
const SHRINK = "envoy.overload_actions.shrink_heap";
const ACCEPT = "envoy.load_shed_points.tcp_listener_accept";

const heap = (bytes: number) => ({
  name: HEAP,
  typedConfig: any(
    "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
    FixedHeapConfig.encode({ maxHeapSizeBytes: bytes }).finish(),
  ),
});
const scaled = (from: number, to: number) => [
  { name: HEAP, scaled: { scalingThreshold: from, saturationThreshold: to } },
];

function compile(json: Record<string, unknown>) {
  const at = Field.root("bootstrap", "Bootstrap").at("overloadManager");
  return { config: compileOverload(Message.fromJSON(json), at), refusals: at.refusals.map((one) => one.path) };
}

describe("the overload manager", () => {
  it("does nothing below its thresholds, everything above them, a share between", () => {
    assert.deepEqual(
      [0, 0.8, 0.85, 0.9, 2].map((pressure) =>
        Math.round(shareOf({ monitor: "", from: 0.8, to: 0.9 }, pressure) * 100),
      ),
      [0, 0, 50, 100, 100],
    );
    const threshold = { monitor: "", from: 0.95, to: 0.95 };
    assert.deepEqual([shareOf(threshold, 0.94), shareOf(threshold, 0.95)], [0, 1]);
  });

  it("looks again at every interval, and takes back what it did once the pressure is gone", () => {
    const clock = new VirtualClock();
    const registry = new Registry();
    const overload = new Overload(() => 0.5);
    let pressure: number | undefined = 0.5;
    let collected = 0;
    const { config } = compile({
      refreshInterval: { seconds: 0, nanos: 250_000_000 },
      resourceMonitors: [heap(1000)],
      actions: [
        { name: STOP, triggers: scaled(0.9, 1) },
        { name: NO_KEEP_ALIVE, triggers: scaled(0.8, 0.9) },
        { name: SHRINK, triggers: [{ name: HEAP, threshold: { value: 0.9 } }] },
      ],
      loadshedPoints: [{ name: ACCEPT, triggers: scaled(0.95, 1) }],
    });
    const collect = () => {
      collected += 1;
    };
    const manager = new OverloadManager(config, { clock, registry, overload, pressure: () => pressure, collect });
    manager.start();
    const seen = () => [
      overload.refusesRequest,
      overload.endsKeepAlive,
      Math.round(overload.refuseConnections * 100) / 100,
      collected,
    ];
    assert.deepEqual(seen(), [false, false, 0, 0]);
    pressure = 0.96;
    clock.advance(249);
    assert.deepEqual(seen(), [false, false, 0, 0]);
    clock.advance(1);
    assert.deepEqual(seen(), [true, true, 0.2, 1]);
    assert.equal(stat(registry, `overload.${STOP}.scale_percent`), 60);
    assert.equal(stat(registry, `overload.${NO_KEEP_ALIVE}.active`), 1);
    assert.equal(stat(registry, `overload.${HEAP}.pressure`), 96);
    pressure = undefined;
    clock.advance(250);
    assert.deepEqual(seen(), [false, false, 0, 1]);
    assert.equal(stat(registry, `overload.${HEAP}.failed_updates`), 1);
    manager.stop();
    pressure = 1;
    clock.advance(1000);
    assert.equal(overload.refuseRequests, 0);
  });

  it("is refused by its path where it asks for more than there is", () => {
    const { refusals } = compile({
      resourceMonitors: [{ name: "other", typedConfig: any("some.Other", new Uint8Array()) }, heap(0)],
      actions: [
        { name: "envoy.overload_actions.reset_high_memory_stream", triggers: scaled(0.5, 0.4) },
        { name: STOP, triggers: [{ name: "unknown", threshold: { value: 1 } }] },
      ],
      bufferFactoryConfig: { minimumAccountToTrackPowerOfTwo: 20 },
    });
    assert.deepEqual(refusals, [
      "overload_manager.buffer_factory_config",
      "overload_manager.resource_monitors[0].typed_config",
      "overload_manager.resource_monitors[1].typed_config.max_heap_size_bytes",
      "overload_manager.actions[0].name",
      "overload_manager.actions[0].triggers[0].scaled.saturation_threshold",
      "overload_manager.actions[1].triggers[0].name",
      "overload_manager.actions[1].triggers",
    ]);
  });
});

describe("the pressure of a control group", () => {
  const group = (files: Readonly<Record<string, string>>, self: string) => {
    const root = mkdtempSync(join(tmpdir(), "weft-cgroup-"));
    after(() => rmSync(root, { recursive: true, force: true }));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(root, path, ".."), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    writeFileSync(join(root, "self"), self);
    return new MemoryPressure(root, join(root, "self"));
  };
  const own = { kind: "cgroup_memory", name: "m", maxBytes: undefined } as const;

  it("is what the kernel can't take back, as a share of the limit", () => {
    const unified = group(
      { "pod/memory.current": "900\n", "pod/memory.max": "1000\n", "pod/memory.stat": "anon 1\ninactive_file 300\n" },
      "0::/pod\n",
    );
    assert.equal(unified.of(own), 0.6);
    assert.equal(unified.of({ ...own, maxBytes: 600 }), 1);
    const older = group(
      {
        "memory/pod/memory.usage_in_bytes": "900\n",
        "memory/pod/memory.limit_in_bytes": "1000\n",
        "memory/pod/memory.stat": "total_inactive_file 100\n",
      },
      "4:memory:/pod\n1:cpu:/pod\n0::/\n",
    );
    assert.equal(older.of(own), 0.8);
  });

  it("is none without a limit, and unknown without files", () => {
    const files = { "memory.current": "900\n", "memory.max": "max\n", "memory.stat": "" };
    assert.equal(group(files, "0::/elsewhere\n").of(own), 0);
    assert.equal(group({}, "0::/\n").of(own), undefined);
  });
});

describe("a proxy close to its limit", () => {
  it("answers 503 and says why, and serves again when asked with room enough", async () => {
    const origin = await httpOrigin((_request, response) => response.end("hello"));
    const serve = async (bytes: string) => {
      const [admin, front] = [await freePort(), await freePort()];
      const overload_manager = {
        resource_monitors: [
          {
            name: HEAP,
            typed_config: {
              "@type": "type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
              max_heap_size_bytes: bytes,
            },
          },
        ],
        actions: [{ name: STOP, triggers: [{ name: HEAP, threshold: { value: 0.95 } }] }],
      };
      const proxy = runProxy(["-c", file("b.json", staticBootstrap({ admin, front, origin }, { overload_manager }))]);
      await ready(admin, proxy);
      return { answer: await raw(front, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "o"), admin };
    };
    const full = await serve("1000000");
    assert.match(full.answer, /^HTTP\/1\.1 503 /);
    assert.match(full.answer, /x-weft-cause: the proxy is close to its memory limit/);
    const stats = await (await fetch(`http://127.0.0.1:${full.admin}/stats?filter=overload`)).text();
    assert.match(stats, /downstream_rq_overload_close: 1/);
    assert.match((await serve("1000000000")).answer, /^HTTP\/1\.1 200 /);
  });
});
