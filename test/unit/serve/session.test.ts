// The order of a push: make before break, one answer awaited per type, nothing sent twice.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import {
  type EncodedConfiguration,
  type EncodedResource,
  perType,
  type ResourceType,
  TYPE_URLS,
} from "../../../src/serve/resource.ts";
import { ResourceList } from "../../../src/serve/resource-list.ts";
import { type Batch, Session } from "../../../src/serve/session.ts";

function resources(type: ResourceType, texts: readonly string[]): ResourceList {
  const all = texts.map((text): EncodedResource => {
    const [name = "", version = "1"] = text.split("@");
    return { name, version, any: { typeUrl: TYPE_URLS[type], value: Buffer.from(text) } };
  });
  return new ResourceList(new Map(all.map((each) => [each.name, each])), new Map());
}

type Texts = Readonly<Partial<Record<ResourceType, readonly string[]>>>;

function configuration(sequence: number, texts: Texts): EncodedConfiguration {
  return { sequence, resources: perType((type) => resources(type, texts[type] ?? [])) };
}

/** A proxy that acknowledges when told to. */
class Wire {
  readonly clock = new VirtualClock();
  readonly log: string[] = [];
  readonly open: { type: ResourceType; nonce: string }[] = [];
  readonly settled: number[] = [];
  readonly states: string[] = [];
  readonly session: Session;
  #nonce = 0;

  constructor() {
    this.session = new Session(this.clock, {
      send: (batch: Batch) => {
        const nonce = String(++this.#nonce);
        this.open.push({ type: batch.type, nonce });
        this.states.push(batch.state().version);
        const changed = batch.changed.map(({ name, version }) => `${name}@${version}`);
        this.log.push([batch.type, ...changed, ...batch.removed.map((name) => `-${name}`)].join(" "));
        return nonce;
      },
      onSettled: (sequence) => this.settled.push(sequence),
      onRefused: () => undefined,
    });
  }

  subscribe(type: ResourceType, subscribe: readonly string[] = [], known: Readonly<Record<string, string>> = {}): void {
    this.session.subscribe(type, { subscribe, unsubscribe: [], known });
  }

  ack(): void {
    for (const { type, nonce } of this.open.splice(0)) this.session.acknowledge(type, nonce);
  }

  take(): readonly string[] {
    return this.log.splice(0);
  }
}

const FIRST: Texts = { cluster: ["a@1"], endpoint: ["a@1"], listener: ["l@1"], route: ["r@1"] };

function settledWire(): Wire {
  const wire = new Wire();
  wire.session.setTarget(configuration(1, FIRST));
  wire.subscribe("cluster");
  wire.subscribe("listener");
  wire.ack();
  wire.subscribe("endpoint", ["a"]);
  wire.ack();
  wire.ack();
  wire.subscribe("route", ["r"]);
  wire.ack();
  assert.deepEqual(wire.take(), ["cluster a@1", "endpoint a@1", "listener l@1", "route r@1"]);
  // Every answer counts: what was settled may be reported more than once, the last is what stands.
  assert.equal(wire.settled.at(-1), 1);
  return wire;
}

describe("a session", () => {
  it("sends clusters, endpoints, listeners and routes in this order", () => {
    settledWire();
  });

  it("brings a new cluster with its endpoints before the route to it, and removes the old one last", () => {
    const wire = settledWire();
    wire.session.setTarget(
      configuration(2, { cluster: ["b@1"], endpoint: ["b@1"], listener: ["l@1"], route: ["r@2"] }),
    );
    assert.deepEqual(wire.take(), ["cluster b@1"]);
    wire.ack();
    assert.deepEqual(wire.take(), [], "the route waits for the endpoints");
    wire.subscribe("endpoint", ["b"]);
    assert.deepEqual(wire.take(), ["endpoint b@1"]);
    wire.ack();
    assert.deepEqual(wire.take(), ["route r@2"]);
    wire.ack();
    assert.deepEqual(wire.take(), ["cluster -a"]);
    assert.equal(wire.settled.at(-1), 1);
    wire.ack();
    assert.equal(wire.settled.at(-1), 2);
  });

  it("gives a secret to whoever waits for it, whatever else is under way", () => {
    const wire = new Wire();
    wire.session.setTarget(configuration(1, { ...FIRST, secret: ["kubernetes://cert@1"] }));
    wire.subscribe("cluster");
    wire.subscribe("secret", ["kubernetes://cert"]);
    assert.deepEqual(wire.take(), ["cluster a@1", "secret kubernetes://cert@1"]);
    wire.session.setTarget(configuration(2, { ...FIRST, secret: ["kubernetes://cert@2", "kubernetes://other@1"] }));
    wire.ack();
    assert.deepEqual(wire.take(), ["secret kubernetes://cert@2"], "only what it asked for");
  });

  it("answers a question for a secret that there is not", () => {
    const wire = new Wire();
    wire.session.setTarget(configuration(1, FIRST));
    wire.subscribe("secret", ["kubernetes://none"]);
    assert.deepEqual(wire.take(), ["secret -kubernetes://none"]);
  });

  it("tells names once the listeners for their addresses are there, and to one who asks for nothing else at once", () => {
    const wire = settledWire();
    wire.subscribe("nameTable");
    assert.deepEqual(wire.take(), []);
    wire.session.setTarget(configuration(2, { ...FIRST, listener: ["l@1", "m@1"], nameTable: ["@1"] }));
    assert.deepEqual(wire.take(), ["listener m@1"]);
    wire.ack();
    assert.deepEqual(wire.take(), ["nameTable @1"]);

    const agent = new Wire();
    agent.session.setTarget(configuration(1, { ...FIRST, nameTable: ["@1"] }));
    agent.subscribe("nameTable");
    assert.deepEqual(agent.take(), ["nameTable @1"]);
  });

  it("brings an extension's clusters before the extension that leads to them, and removes the old one after it", () => {
    const wire = settledWire();
    wire.session.setTarget(configuration(2, { ...FIRST, cluster: ["a@1", "authz@1"], extension: ["x@1"] }));
    wire.subscribe("extension", ["x"]);
    assert.deepEqual(wire.take(), ["cluster authz@1"]);
    wire.ack();
    assert.deepEqual(wire.take(), ["extension x@1"]);
    wire.ack();
    wire.session.setTarget(configuration(3, { ...FIRST, extension: ["x@2"] }));
    assert.deepEqual(wire.take(), ["extension x@2"]);
    wire.ack();
    assert.deepEqual(wire.take(), ["cluster -authz"]);
  });

  it("brings a new listener with its routes before the old one goes", () => {
    const wire = settledWire();
    wire.session.setTarget(configuration(2, { ...FIRST, listener: ["m@1"], route: ["r@2", "s@1"] }));
    assert.deepEqual(wire.take(), ["listener m@1"]);
    wire.ack();
    assert.deepEqual(wire.take(), [], "the old listener and its routes stay until the new one's are asked for");
    wire.subscribe("route", ["s"]);
    assert.deepEqual(wire.take(), ["route r@2 s@1"]);
    wire.ack();
    assert.deepEqual(wire.take(), ["listener -l"]);
  });

  it("takes a call from no route before the new listener for it has its own", () => {
    const wire = settledWire();
    const moved: Texts = { ...FIRST, listener: ["l@1", "m@1"], route: ["r@2", "s@1"] };
    wire.session.setTarget(configuration(2, moved));
    assert.deepEqual(wire.take(), ["listener m@1"]);
    wire.ack();
    assert.deepEqual(wire.take(), [], "the changed route waits until the new one is asked for");
    wire.subscribe("route", ["s"]);
    assert.deepEqual(wire.take(), ["route r@2 s@1"]);
    wire.ack();

    wire.session.setTarget(
      configuration(3, { ...moved, listener: ["l@1", "m@1", "n@1"], route: ["r@3", "s@1", "t@1"] }),
    );
    wire.ack();
    assert.deepEqual(wire.take(), ["listener n@1"]);
    wire.clock.advance(1_000);
    assert.deepEqual(wire.take(), ["route r@3"], "but not for ever");
  });

  it("takes no virtual host of a configuration before the new listener for its calls has its routes", () => {
    const wire = settledWire();
    const before: Texts = {
      ...FIRST,
      listener: ["l@1", "m@1"],
      route: ["r@1", "80@1"],
      virtualHost: ["80/a@1", "80/b@1"],
    };
    wire.session.setTarget(configuration(2, before));
    wire.ack();
    wire.subscribe("route", ["80"]);
    wire.subscribe("virtualHost", ["80"]);
    wire.ack();
    wire.ack();
    wire.take();
    wire.session.setTarget(
      configuration(3, {
        ...before,
        listener: ["l@1", "m@1", "n@1"],
        route: ["r@1", "80@1", "s@1"],
        virtualHost: ["80/a@1"],
      }),
    );
    wire.ack();
    assert.deepEqual(wire.take(), ["listener n@1"]);
    wire.subscribe("route", ["s"]);
    assert.deepEqual(wire.take(), ["route s@1", "virtualHost -80/b"]);
  });

  it("answers a proxy that asks for all of a type although there is nothing: it waits for that", () => {
    const wire = new Wire();
    wire.session.setTarget(configuration(1, { cluster: ["a@1"], endpoint: [], listener: [], route: [] }));
    wire.subscribe("cluster");
    wire.subscribe("listener");
    assert.deepEqual(wire.take(), ["cluster a@1"]);
    wire.ack();
    assert.deepEqual(wire.take(), ["listener"]);
    wire.ack();
    assert.deepEqual(wire.take(), []);
    assert.equal(wire.settled.at(-1), 1);
  });

  it("sends a proxy that comes back the endpoints of a cluster that changed meanwhile, although it has them", () => {
    const wire = new Wire();
    wire.session.setTarget(configuration(1, { ...FIRST, cluster: ["a@2"] }));
    wire.subscribe("cluster", [], { a: "1" });
    wire.subscribe("endpoint", ["a"], { a: "1" });
    assert.deepEqual(wire.take(), ["cluster a@2", "endpoint a@1"]);
  });

  it("trusts the version of a state of the world only where it stands for all of a type", () => {
    const former = new Wire();
    former.session.setTarget(configuration(1, FIRST));
    former.session.setNames("cluster", []);
    former.session.setNames("endpoint", ["a"]);
    const [state = "", version = ""] = former.states;
    const wire = new Wire();
    wire.session.setTarget(configuration(1, FIRST));
    wire.session.setNames("cluster", [], state);
    assert.deepEqual(wire.take(), []);
    wire.session.setNames("endpoint", ["a"], version);
    assert.deepEqual(wire.take(), ["endpoint a@1"], "it may have let go of it since, and asked again");
  });

  it("removes no cluster from a proxy that comes back before it has said what it has of the rest", () => {
    const wire = new Wire();
    wire.session.setTarget(configuration(2, FIRST));
    wire.subscribe("cluster", [], { a: "1", old: "1" });
    wire.subscribe("endpoint", ["a"], { a: "1" });
    assert.deepEqual(wire.take(), []);
    wire.subscribe("listener", [], { l: "0" });
    assert.deepEqual(wire.take(), ["listener l@1"]);
    wire.ack();
    assert.deepEqual(wire.take(), []);
    wire.subscribe("route", ["r"], { r: "1" });
    assert.deepEqual(wire.take(), ["cluster -old"]);
  });

  it("does not wait for ever for a proxy that asks for no endpoints", () => {
    const wire = settledWire();
    wire.session.setTarget(
      configuration(2, { ...FIRST, cluster: ["a@1", "b@1"], endpoint: ["a@1", "b@1"], route: ["r@2"] }),
    );
    wire.ack();
    assert.deepEqual(wire.take(), ["cluster b@1"]);
    wire.clock.advance(1_000);
    assert.deepEqual(wire.take(), ["route r@2"]);
  });

  it("sends an endpoint change alone, and only the newest of several", () => {
    const wire = settledWire();
    wire.session.setTarget(configuration(2, { ...FIRST, endpoint: ["a@2"] }));
    wire.session.setTarget(configuration(3, { ...FIRST, endpoint: ["a@3"] }));
    wire.session.setTarget(configuration(4, { ...FIRST, endpoint: ["a@4"] }));
    assert.deepEqual(wire.take(), ["endpoint a@2"]);
    wire.ack();
    assert.deepEqual(wire.take(), ["endpoint a@4"]);
  });

  it("sends a reconnecting proxy only what differs", () => {
    const wire = new Wire();
    wire.session.setTarget(configuration(1, { ...FIRST, cluster: ["a@1", "b@2"] }));
    wire.subscribe("cluster", [], { a: "1", b: "1", gone: "1" });
    assert.deepEqual(wire.take(), ["cluster b@2"]);
  });

  it("sends one that comes back with virtual hosts only those that differ", () => {
    const wire = new Wire();
    wire.session.setTarget(configuration(1, { ...FIRST, route: ["80@1"], virtualHost: ["80/a@1", "80/b@2"] }));
    wire.subscribe("route", ["80"], { "80": "1" });
    wire.subscribe("virtualHost", ["80"], { "80/a": "1", "80/b": "1" });
    assert.deepEqual(wire.take(), ["virtualHost 80/b@2"]);
  });

  it("does not repeat what was refused, and sends the next version", () => {
    const wire = settledWire();
    wire.session.setTarget(configuration(2, { ...FIRST, route: ["r@bad"] }));
    const [open] = wire.open.splice(0);
    assert.ok(open !== undefined && open.type === "route");
    wire.session.refuse("route", open.nonce, "no");
    assert.deepEqual(wire.take(), ["route r@bad"]);
    assert.deepEqual(
      wire.session.refusals().map(({ type, resource, message }) => `${type} ${resource.name}: ${message}`),
      ["route r: no"],
    );
    assert.equal(wire.session.status("route").state, "ERROR");
    wire.session.setTarget(configuration(3, { ...FIRST, route: ["r@good"] }));
    assert.deepEqual(wire.take(), ["route r@good"]);
    wire.ack();
    assert.deepEqual(wire.session.refusals(), []);
  });

  it("keeps the clusters that a refused route's last form may lead to", () => {
    const wire = settledWire();
    wire.session.setTarget(
      configuration(2, { cluster: ["b@1"], endpoint: ["b@1"], listener: ["l@1"], route: ["r@2"] }),
    );
    wire.ack();
    wire.subscribe("endpoint", ["b"]);
    wire.ack();
    const [open] = wire.open.splice(0);
    assert.ok(open !== undefined && open.type === "route");
    wire.session.refuse("route", open.nonce, "no");
    assert.deepEqual(wire.take(), ["cluster b@1", "endpoint b@1", "route r@2"]);
    wire.session.setTarget(
      configuration(3, { cluster: ["b@1"], endpoint: ["b@1"], listener: ["l@1"], route: ["r@3"] }),
    );
    wire.ack();
    assert.deepEqual(wire.take(), ["route r@3", "cluster -a"]);
  });

  it("blames the resource that the refusal names, until that one is accepted", () => {
    const wire = settledWire();
    wire.session.setTarget(configuration(2, { ...FIRST, route: ["r@1", "80@1", "8080@1"] }));
    wire.subscribe("route", ["80", "8080"]);
    wire.ack();
    wire.session.setTarget(configuration(3, { ...FIRST, route: ["r@1", "80@2", "8080@2"] }));
    const [open] = wire.open.splice(0);
    assert.ok(open !== undefined);
    wire.session.refuse("route", open.nonce, "route 8080: virtual_hosts[0]: no");
    const refused = (): readonly string[] => wire.session.refusals().map(({ resource }) => resource.name);
    assert.deepEqual(refused(), ["8080"]);
    wire.session.setTarget(configuration(4, { ...FIRST, route: ["r@1", "80@3", "8080@2"] }));
    wire.ack();
    assert.deepEqual(refused(), ["8080"], "another's acceptance changes nothing");
    wire.session.setTarget(configuration(5, { ...FIRST, route: ["r@1", "80@3", "8080@3"] }));
    wire.ack();
    assert.deepEqual(refused(), []);
  });

  it("sends a changed cluster's endpoints again", () => {
    const wire = settledWire();
    wire.session.setTarget(configuration(2, { ...FIRST, cluster: ["a@2"] }));
    assert.deepEqual(wire.take(), ["cluster a@2", "endpoint a@1"]);
  });

  it("takes no endpoints from a changed cluster that is to go: it may still be called", () => {
    const wire = settledWire();
    wire.session.setTarget(configuration(2, { ...FIRST, endpoint: ["a@2"] }));
    wire.session.setTarget(configuration(3, { ...FIRST, cluster: ["a@2"], endpoint: ["a@3"] }));
    wire.session.setTarget(configuration(4, { listener: ["l@2"], route: ["r@1"] }));
    assert.deepEqual(wire.take(), ["endpoint a@2", "cluster a@2"]);
    wire.ack();
    assert.deepEqual(wire.take(), ["listener l@2"]);
    wire.ack();
    assert.deepEqual(wire.take(), ["cluster -a"]);
  });

  it("sends again what a proxy asks for again, and answers a name that leads nowhere", () => {
    const wire = settledWire();
    wire.subscribe("endpoint", ["a"]);
    assert.deepEqual(wire.take(), ["endpoint a@1"]);
    wire.ack();
    wire.subscribe("route", ["nowhere"]);
    assert.deepEqual(wire.take(), ["route -nowhere"]);
  });

  it("ignores an answer to something older", () => {
    const wire = settledWire();
    wire.session.setTarget(configuration(2, { ...FIRST, route: ["r@2"] }));
    wire.session.acknowledge("route", "stale");
    wire.session.refuse("route", "stale", "no");
    assert.equal(wire.session.status("route").state, "STALE");
    assert.deepEqual(wire.session.refusals(), []);
  });
});
