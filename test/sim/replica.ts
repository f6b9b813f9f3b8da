// A control plane that is fed by documents, and the proxies of a random mesh that ask it.

import assert from "node:assert/strict";
import { MeshState } from "../../src/control/mesh-state.ts";
import { readManifests } from "../../src/ingest/file.ts";
import { emptyResources, type ResourceName, type ResourceSet } from "../../src/ingest/resources.ts";
import { ResourceStore } from "../../src/ingest/store.ts";
import { defaultMeshConfig } from "../../src/model/mesh-config.ts";
import type { ProxyNode } from "../../src/translate/proxy.ts";
import { proxyOf } from "../unit/translate/mesh.ts";
import type { MeshDocument } from "./mesh.ts";
import type { MeshEdit } from "./random-mesh.ts";

const NAMES = Object.keys(emptyResources()) as ResourceName[];

export const PROXIES: readonly ProxyNode[] = [
  proxyOf({ namespace: "a" }),
  proxyOf({ namespace: "b", pod: "web-0", address: "10.244.1.10", serviceAccount: "web", labels: { app: "web" } }),
  proxyOf({ namespace: "a", pod: "explicit-1", address: "10.244.0.6", mode: "NONE" }),
  proxyOf({
    type: "router",
    id: "router~10.244.0.30~ingress-1.edge~edge.svc.cluster.local",
    pod: "ingress-1",
    namespace: "edge",
    address: "10.244.0.30",
    serviceAccount: "ingress",
    labels: { istio: "ingressgateway" },
  }),
];

/** The store and control plane of one replica. */
export class Replica {
  readonly state = new MeshState(defaultMeshConfig);
  readonly #store = new ResourceStore();

  apply(edits: readonly MeshEdit[]): void {
    for (const { kind, document } of edits) {
      const resources = parse(document);
      for (const name of NAMES) this.#one(name, resources, kind);
    }
  }

  publish(): void {
    this.state.replace(this.#store.take());
  }

  #one<K extends ResourceName>(name: K, from: ResourceSet, kind: MeshEdit["kind"]): void {
    for (const each of from[name].values()) {
      if (kind === "put") this.#store.put(name, each);
      else this.#store.remove(name, each);
    }
  }
}

const parsed = new WeakMap<MeshDocument, ResourceSet>();

function parse(document: MeshDocument): ResourceSet {
  const known = parsed.get(document);
  if (known !== undefined) return known;
  const read = readManifests(JSON.stringify(document));
  assert.ok(read.ok, read.ok ? "" : `${read.error}: ${JSON.stringify(document)}`);
  parsed.set(document, read.value.resources);
  return read.value.resources;
}
