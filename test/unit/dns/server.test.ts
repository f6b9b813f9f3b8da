// The mesh's DNS server asked by Node's own resolver, and by hand over TCP.

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { CLASS_IN, decodeMessage, encodeMessage, recordType } from "../../../src/dns/message.ts";
import { DnsServer } from "../../../src/dns/server.ts";
import { DnsUpstream, parseNameservers } from "../../../src/dns/upstream.ts";
import { nameTable, resolveName } from "../../../src/node/cluster-names.ts";
import type { ServiceRoute } from "../../../src/node/sandbox.ts";

const many = Array.from({ length: 50 }, (_, index) => `10.244.1.${index}`);
const routes: readonly ServiceRoute[] = [
  { namespace: "production", name: "api", clusterIP: "10.96.0.7", ports: [], addresses: [] },
  { namespace: "production", name: "db", clusterIP: "None", ports: [], addresses: ["10.244.0.4", "10.244.0.5"] },
  { namespace: "production", name: "many", clusterIP: "None", ports: [], addresses: many },
];

const namesOf = (known: readonly ServiceRoute[]) => {
  const table = nameTable(known);
  return (name: string) => resolveName(table, name);
};

describe("the mesh's DNS server", () => {
  const resolver = new Resolver({ timeout: 1000, tries: 1 });
  let server: DnsServer;

  before(async () => {
    server = await DnsServer.listen({ address: "127.0.0.1", port: 0, upstream: undefined });
    server.setNames(namesOf(routes));
    resolver.setServers([`127.0.0.1:${server.port}`]);
  });
  after(() => server.close());

  it("knows services, headless ones and pods", async () => {
    assert.deepEqual(await resolver.resolve4("api.production.svc.cluster.local"), ["10.96.0.7"]);
    assert.deepEqual(await resolver.resolve4("API.Production.svc.cluster.local"), ["10.96.0.7"]);
    assert.deepEqual(await resolver.resolve4("db.production.svc.cluster.local"), ["10.244.0.4", "10.244.0.5"]);
    assert.deepEqual(await resolver.resolve4("10-244-0-9.production.pod.cluster.local"), ["10.244.0.9"]);
  });

  it("says that a name has no IPv6 address, and that a missing name is missing", async () => {
    await assert.rejects(resolver.resolve6("api.production.svc.cluster.local"), { code: "ENODATA" });
    await assert.rejects(resolver.resolve4("nobody.production.svc.cluster.local"), { code: "ENOTFOUND" });
  });

  it("fails at once for a foreign name when nothing is upstream", async () => {
    await assert.rejects(resolver.resolve4("example.com"), { code: "ESERVFAIL" });
  });

  it("follows a change of the table", async () => {
    server.setNames(namesOf([]));
    await assert.rejects(resolver.resolve4("api.production.svc.cluster.local"), { code: "ENOTFOUND" });
    server.setNames(namesOf(routes));
  });

  it("truncates over UDP what it answers in full over TCP", async () => {
    const query = question("many.production.svc.cluster.local");
    const udp = createSocket("udp4");
    udp.send(query, server.port, "127.0.0.1");
    const [datagram] = await once(udp, "message");
    udp.close();
    const short = decodeMessage(datagram);
    assert.ok(short.ok && short.value.truncated && short.value.answers.length === 0);
    const full = decodeMessage(await askTcp(query, server.port));
    assert.ok(full.ok && !full.value.truncated && full.value.answers.length === many.length);
  });

  it("leaves nothing open when the port is taken for TCP", async () => {
    const taken = createServer();
    taken.listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    assert.ok(address !== null && typeof address === "object");
    const options = { address: "127.0.0.1", port: address.port, upstream: undefined };
    await assert.rejects(DnsServer.listen(options), { code: "EADDRINUSE" });
    const udp = createSocket("udp4");
    udp.bind(address.port, "127.0.0.1");
    await once(udp, "listening");
    udp.close();
    taken.close();
  });

  it("goes on after bytes that are no question", async () => {
    const udp = createSocket("udp4");
    await new Promise((resolve) => udp.send(Buffer.from("not a question at all"), server.port, "127.0.0.1", resolve));
    udp.close();
    assert.deepEqual(await resolver.resolve4("api.production.svc.cluster.local"), ["10.96.0.7"]);
  });
});

describe("names that are not the mesh's", () => {
  it("are asked upstream, and fail when upstream is silent", async () => {
    const outside = createSocket("udp4");
    outside.bind(0, "127.0.0.1");
    await once(outside, "listening");
    outside.once("message", (bytes, from) => {
      const query = decodeMessage(bytes);
      assert.ok(query.ok);
      const data = Buffer.from([192, 0, 2, 1]);
      const record = { name: "example.com", type: recordType.A, class: CLASS_IN, ttlSeconds: 60, data };
      outside.send(encodeMessage({ ...query.value, response: true, answers: [record] }), from.port, from.address);
    });
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    const upstream = new DnsUpstream(socket, ["127.0.0.1"], outside.address().port);
    const server = await DnsServer.listen({ address: "127.0.0.1", port: 0, upstream });
    const resolver = new Resolver({ timeout: 4000, tries: 1 });
    resolver.setServers([`127.0.0.1:${server.port}`]);
    assert.deepEqual(await resolver.resolve4("example.com"), ["192.0.2.1"]);
    await assert.rejects(resolver.resolve4("example.org"), { code: "ESERVFAIL" });
    const askedMs = performance.now();
    await assert.rejects(resolver.resolve4("example.net"), { code: "ESERVFAIL" });
    assert.ok(performance.now() - askedMs < 500, "after a silence the next question fails at once");
    server.close();
    outside.close();
  });
});

describe("the name table", () => {
  it("keeps apart what is missing, empty and somebody else's", () => {
    const table = nameTable(routes);
    assert.equal(resolveName(table, "api.production.svc.cluster.local.").kind, "known");
    assert.equal(resolveName(table, "production.svc.cluster.local").kind, "known");
    assert.equal(resolveName(table, "staging.svc.cluster.local").kind, "missing");
    assert.equal(resolveName(table, "300-1-1-1.production.pod.cluster.local").kind, "missing");
    assert.equal(resolveName(table, "api").kind, "missing");
    assert.equal(resolveName(table, "example.com").kind, "foreign");
  });
});

describe("resolv.conf", () => {
  it("gives the machine's IPv4 servers", () => {
    assert.deepEqual(parseNameservers("# x\nnameserver 127.0.0.53\nnameserver fe80::1\nsearch a\n"), ["127.0.0.53"]);
  });
});

function question(name: string): Buffer {
  const empty = decodeMessage(Buffer.from("000701000000000000000000", "hex"));
  assert.ok(empty.ok);
  return encodeMessage({ ...empty.value, questions: [{ name, type: recordType.A, class: CLASS_IN }] });
}

async function askTcp(query: Buffer, port: number): Promise<Buffer> {
  const socket = connect(port, "127.0.0.1");
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.length);
  socket.write(Buffer.concat([length, query]));
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) break;
  }
  socket.destroy();
  return bytes.subarray(2);
}
