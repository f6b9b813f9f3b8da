// From ServiceEntry to an answer: the control plane chooses addresses and tells the names, the sidecar's DNS answers over
// real sockets, and asks elsewhere for what isn't the mesh's.

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { type SidecarDns, startSidecarDns } from "../../../src/agent/dns.ts";
import { type ServiceEntry, serviceEntryKind } from "../../../src/api/istio/service-entry.ts";
import { CLASS_IN, decodeMessage, encodeMessage, recordType } from "../../../src/dns/message.ts";
import { DnsServer } from "../../../src/dns/server.ts";
import type { NameTable } from "../../../src/proto/gen/istio/nds.ts";
import { startMesh, type TestMesh, until } from "./mesh.ts";

const MESH = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {clusterIP: 10.96.0.7, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: old-api, namespace: shop}
spec: {type: ExternalName, externalName: api.shop.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, namespace: shop, labels: {app: db}}
spec: {containers: [{name: db, image: db}]}
status: {podIP: 10.244.0.21, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: "", port: 5432, protocol: TCP}]
endpoints: [{addresses: [10.244.0.21], conditions: {ready: true}, targetRef: {kind: Pod, name: db-0, namespace: shop}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: shop}
spec: {hosts: [partner.example.com], ports: [{number: 9000, name: tcp, protocol: TCP}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: fixed, namespace: shop}
spec: {hosts: ["*.fixed.example.com"], addresses: [192.0.2.1, "2001:db8::1"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 192.0.2.9}]}
`;

const CALLER = {
  pod: "web-1",
  namespace: "shop",
  serviceAccount: "web",
  address: "10.244.0.9",
  labels: { app: "web" },
};

async function startDns(context: TestContext): Promise<SidecarDns> {
  // What isn't the mesh's is asked of a real server, which knows one name.
  const elsewhere = await DnsServer.listen({ address: "127.0.0.1", port: 0, upstream: undefined });
  elsewhere.setNames((name) =>
    name.toLowerCase() === "outside.example.org"
      ? { kind: "known", addresses: ["198.51.100.7"], zone: "example.org" }
      : { kind: "missing", zone: "" },
  );
  const dns = await startSidecarDns({
    host: "127.0.0.1",
    port: 0,
    namespace: "shop",
    clusterDomain: "cluster.local",
    upstream: { servers: ["127.0.0.1"], port: elsewhere.port },
  });
  assert.ok(dns.ok, dns.ok ? "" : dns.error);
  context.after(() => {
    dns.value.close();
    elsewhere.close();
  });
  return dns.value;
}

async function entryOf(mesh: TestMesh, name: string): Promise<ServiceEntry> {
  const read = await mesh.client.get(serviceEntryKind, { name, namespace: "shop" });
  assert.ok(read.ok, read.ok ? "" : read.error.message);
  return read.value;
}

for (const variant of ["delta", "sotw"] as const) {
  test(`mesh names are answered, others asked elsewhere (${variant})`, async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(MESH);
    const dns = await startDns(context);
    const tables: NameTable[] = [];
    const onNames = (table: NameTable) => {
      tables.push(table);
      dns.setTable(table);
    };
    await mesh.connect({ ...CALLER, variant, onNames });
    await until("the names arrive", () => tables.at(-1)?.table["partner.example.com"] !== undefined);
    await until(
      "the addresses are written",
      async () => (await entryOf(mesh, "partner")).status?.addresses?.length === 2,
    );
    const allocated = (await entryOf(mesh, "partner")).status?.addresses?.[0]?.value ?? "";
    assert.match(allocated, /^240\.240\.\d+\.\d+$/);

    const resolver = new Resolver({ timeout: 2000, tries: 1 });
    resolver.setServers([`127.0.0.1:${dns.port}`]);
    const four = (name: string) => resolver.resolve4(name);
    assert.deepEqual(await four("partner.example.com"), [allocated]);
    assert.deepEqual(await four("api.shop.svc.cluster.local"), ["10.96.0.7"]);
    assert.deepEqual(await four("API.shop"), ["10.96.0.7"]);
    assert.deepEqual(await four("old-api.shop.svc.cluster.local"), ["10.96.0.7"]);
    assert.deepEqual(await four("db.shop.svc.cluster.local"), ["10.244.0.21"]);
    assert.deepEqual(await four("db-0.db.shop.svc.cluster.local"), ["10.244.0.21"]);
    assert.deepEqual(await four("a.b.fixed.example.com"), ["192.0.2.1"]);
    assert.deepEqual(await resolver.resolve6("a.fixed.example.com"), ["2001:db8::1"]);
    await assert.rejects(resolver.resolve6("partner.example.com"), { code: "ENODATA" });
    assert.deepEqual(await four("outside.example.org"), ["198.51.100.7"]);
    await assert.rejects(four("nobody.example.org"), { code: "ENOTFOUND" });
    assert.deepEqual(await overTcp("api", dns.port), ["10.96.0.7"]);

    // A new entry is known as soon as it is there, and what is taken away is asked elsewhere again.
    await mesh.client.remove(serviceEntryKind, { name: "partner", namespace: "shop" });
    await until("the name goes", () => tables.at(-1)?.table["partner.example.com"] === undefined);
    await assert.rejects(four("partner.example.com"), { code: "ENOTFOUND" });
  });
}

test("an address stays with its host over a restart of the control plane", async (context) => {
  const mesh = await startMesh(context);
  await mesh.apply(MESH);
  const taken = { addresses: [{ value: "240.240.7.7", host: "partner.example.com" }] };
  const patch = { body: { status: taken }, subresource: "status" } as const;
  const patched = await mesh.client.mergePatch(serviceEntryKind, { name: "partner", namespace: "shop" }, patch);
  assert.ok(patched.ok);
  const control = await mesh.restart();
  await control.whenReady;
  const tables: NameTable[] = [];
  await mesh.connect({ ...CALLER, onNames: (table) => tables.push(table) });
  await until("the names arrive", () => tables.at(-1)?.table["partner.example.com"] !== undefined);
  assert.deepEqual(tables.at(-1)?.table["partner.example.com"]?.ips, ["240.240.7.7"]);
});

/** Two questions in one connection, the second cut in half. */
async function overTcp(name: string, port: number): Promise<readonly string[]> {
  const query = encodeMessage({
    id: 7,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    responseCode: 0,
    questions: [{ name, type: recordType.A, class: CLASS_IN }],
    answers: [],
    authorities: [],
    additionals: [],
  });
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.length);
  const framed = Buffer.concat([length, query]);
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(framed.subarray(0, 5));
  await new Promise((resolve) => setTimeout(resolve, 20));
  socket.write(framed.subarray(5));
  const [answer] = await once(socket, "data");
  socket.destroy();
  const decoded = decodeMessage(answer.subarray(2));
  assert.ok(decoded.ok);
  return decoded.value.answers.map(({ data }) => [...data].join("."));
}

test("a port that is taken is an error that says which", async () => {
  const taken = createSocket("udp4");
  taken.bind(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address();
  const options = { host: "127.0.0.1", port, namespace: "shop", clusterDomain: "cluster.local" };
  const dns = await startSidecarDns({ ...options, upstream: { servers: [], port: 53 } });
  taken.close();
  assert.ok(!dns.ok);
  assert.match(dns.error, new RegExp(`127\\.0\\.0\\.1:${port}: .*EADDRINUSE`));
});
