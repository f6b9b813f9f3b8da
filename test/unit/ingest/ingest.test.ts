// Bursts of changes, and what of an object counts as one.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Feed } from "../../../bench/control/feed.ts";
import { serviceOf, sliceOf } from "../../../bench/control/mesh.ts";
import { VirtualClock } from "../../../src/base/clock.ts";
import { Coalescer } from "../../../src/ingest/coalesce.ts";
import { readManifests } from "../../../src/ingest/file.ts";
import { QUIET_MS } from "../../../src/ingest/limits.ts";
import { ResourceStore } from "../../../src/ingest/store.ts";
import { startIngest } from "../../../src/ingest/watch.ts";

describe("a burst", () => {
  it("is told once, after a quiet moment", () => {
    const clock = new VirtualClock();
    let runs = 0;
    const coalescer = new Coalescer(clock, () => {
      runs += 1;
    });
    for (let i = 0; i < 5; i += 1) {
      coalescer.touch("soon");
      clock.advance(10);
    }
    assert.equal(runs, 0);
    clock.advance(20);
    assert.equal(runs, 1);
  });

  it("that does not end is told at its bound", () => {
    const clock = new VirtualClock();
    let runs = 0;
    const coalescer = new Coalescer(clock, () => {
      runs += 1;
    });
    for (let i = 0; i < 21; i += 1) {
      coalescer.touch("soon");
      clock.advance(10);
    }
    assert.equal(runs, 1);
  });

  it("is told at once when an endpoint went", () => {
    const clock = new VirtualClock();
    let runs = 0;
    const coalescer = new Coalescer(clock, () => {
      runs += 1;
    });
    coalescer.touch("soon");
    coalescer.touch("now");
    coalescer.touch("soon");
    clock.advance(0);
    assert.equal(runs, 1);
    coalescer.touch("soon");
    clock.advance(0);
    assert.equal(runs, 1, "the next burst is an ordinary one");
  });
});

describe("a source", () => {
  it("that tells of an endpoint that went is heard at once, of anything else after a quiet moment", () => {
    const clock = new VirtualClock();
    const feed = new Feed();
    let told = 0;
    feed.put(serviceOf(0));
    feed.put(sliceOf(0, [0, 1]));
    const ingest = startIngest({
      client: feed,
      clock,
      onChange: () => {
        told += 1;
      },
    });
    clock.advance(0);
    assert.equal(told, 1, "what exists");
    feed.put(sliceOf(0, [0, 1, 2]));
    clock.advance(QUIET_MS - 1);
    assert.equal(told, 1, "one more waits");
    clock.advance(1);
    assert.equal(told, 2);
    feed.put(sliceOf(0, [0, 2]));
    clock.advance(0);
    assert.equal(told, 3, "one less does not");
    feed.drop(sliceOf(0, [0, 2]));
    clock.advance(0);
    assert.equal(told, 4, "nor do all of them");
    feed.put({ ...serviceOf(0), metadata: { ...serviceOf(0).metadata, annotations: { note: "edited" } } });
    clock.advance(1_000);
    assert.equal(told, 4, "bookkeeping is not told at all");
    ingest.stop();
  });
});

describe("the store", () => {
  const service = (labels: Record<string, string>, status: object) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "api", namespace: "production", labels, resourceVersion: String(Math.random()) },
    spec: { ports: [{ port: 80 }] },
    status,
  });

  it("sees no change in status and bookkeeping, and keeps the maps of kinds that did not change", () => {
    const store = new ResourceStore();
    assert.equal(store.put("services", service({}, {})), true);
    const before = store.take();
    assert.equal(store.put("services", service({}, { loadBalancer: {} })), false);
    assert.equal(store.take(), before);
    assert.equal(store.put("services", service({ a: "b" }, {})), true);
    const after = store.take();
    assert.notEqual(after.services, before.services);
    assert.equal(after.pods, before.pods);
    assert.equal(before.services.size, 1);
  });
});

describe("manifests", () => {
  it("name the file, the line and the field of a mistake", () => {
    const read = readManifests(
      "\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: ''}\n",
      "mesh.yaml",
    );
    assert.ok(!read.ok);
    assert.equal(read.error, "mesh.yaml:3: DestinationRule a: spec.host: must not be empty");
    const broken = readManifests("a: [", "mesh.yaml");
    assert.ok(!broken.ok);
    assert.match(broken.error, /^mesh\.yaml: .*line 1/);
  });

  it("count what the mesh does not read", () => {
    const read = readManifests("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n");
    assert.ok(read.ok);
    assert.deepEqual([...read.value.ignored], [["Deployment", 1]]);
  });
});
