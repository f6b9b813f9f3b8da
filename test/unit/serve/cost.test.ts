// What a change of endpoints costs the control plane, from the source to what is due to a proxy: as much with many services
// as with few.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { podOf, serviceOf, sliceOf } from "../../../bench/control/mesh.ts";
import { VersionedMap } from "../../../src/base/versioned-map.ts";
import { MeshState } from "../../../src/control/mesh-state.ts";
import { ResourceStore } from "../../../src/ingest/store.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import type { EncodedConfiguration } from "../../../src/serve/resource.ts";
import { between } from "../../../src/serve/resource-list.ts";
import { proxyOf } from "../translate/mesh.ts";

const PLACES = [0, 1, 2];
const CHANGES = 40;

class Mesh {
  readonly state = new MeshState(defaultMeshConfig);
  readonly #store = new ResourceStore();
  readonly #proxy = proxyOf({ namespace: "shop" });

  constructor(services: number) {
    for (let i = 0; i < services; i++) {
      this.#store.put("services", serviceOf(i));
      for (const place of PLACES) this.#store.put("pods", podOf(i, place));
      this.#store.put("endpointSlices", sliceOf(i, PLACES));
    }
    this.publish();
  }

  publish(): EncodedConfiguration {
    this.state.replace(this.#store.take());
    const configuration = this.state.configure(this.#proxy);
    assert.ok(configuration !== undefined);
    return configuration;
  }

  change(i: number): void {
    this.#store.put("endpointSlices", sliceOf(0, i % 2 === 0 ? PLACES.slice(1) : PLACES));
  }

  /** A pod's successor, ready at once. */
  replace(i: number): void {
    this.#store.remove("pods", podOf(1, i));
    this.#store.put("pods", podOf(1, i + PLACES.length));
    this.#store.put(
      "endpointSlices",
      sliceOf(
        1,
        PLACES.map((place) => place + i + 1),
      ),
    );
  }

  /** The least of many, in milliseconds. */
  cost(change: (i: number) => void): number {
    let least = Number.POSITIVE_INFINITY;
    let before = this.publish();
    for (let i = 0; i < CHANGES; i++) {
      change(i);
      const startedMs = performance.now();
      const after = this.publish();
      const difference = between(before.resources.endpoint, after.resources.endpoint);
      least = Math.min(least, performance.now() - startedMs);
      assert.equal(difference.changed.length, 1);
      before = after;
    }
    return least;
  }
}

describe("a change of endpoints", () => {
  it("costs as much with 1,500 services as with 100", () => {
    const [few, many] = [new Mesh(100), new Mesh(1_500)];
    for (const change of ["change", "replace"] as const) {
      const [one, other] = [few, many].map((mesh) => mesh.cost((i) => mesh[change](i)));
      assert.ok(
        (other ?? 0) < 4 * (one ?? 0) + 0.2,
        `${change}: ${one} ms, and ${other} ms with 15 times the services`,
      );
    }
  });

  it("leaves all else the same values", () => {
    const mesh = new Mesh(50);
    const before = mesh.publish();
    const snapshot = mesh.state.snapshot;
    mesh.change(0);
    const after = mesh.publish();
    for (const type of ["cluster", "listener", "route", "nameTable"] as const) {
      assert.equal(after.resources[type], before.resources[type], type);
    }
    const services = mesh.state.snapshot?.services ?? new Map();
    assert.deepEqual(VersionedMap.changes(snapshot?.services ?? new Map(), services), ["svc-0.shop.svc.cluster.local"]);
  });
});
