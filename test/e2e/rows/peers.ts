// Peers that come with a wrong certificate, or none, to a server under STRICT; and one that comes with a right one.

import assert from "node:assert/strict";
import { join } from "node:path";
import { isRecord, parseJson } from "../../../src/base/json.ts";
import { type CertificateFiles, issue } from "../certificates.ts";
import { root } from "../cluster.ts";
import { caller } from "../own.ts";
import type { Row, Walk } from "../row.ts";

const CLIENT = join(root, "test/e2e/apps/tls-client.js");
const MESH_ALPN = ["istio-http/1.1", "istio"];

interface Peer {
  readonly name: string;
  readonly app?: string;
  readonly alpn?: readonly string[];
  readonly certificate?: (walk: Walk) => Promise<CertificateFiles>;
  readonly expect: "served" | "refused";
}

const PEERS_TABLE: readonly Peer[] = [
  {
    name: "a peer with a certificate of the mesh is served",
    certificate: ({ cluster }) => issue(cluster, "right", {}),
    expect: "served",
  },
  {
    name: "a peer with a certificate of another CA is refused",
    certificate: ({ cluster }) => issue(cluster, "foreign", { foreignRoot: true }),
    expect: "refused",
  },
  {
    name: "a peer with an expired certificate is refused",
    certificate: ({ cluster }) => issue(cluster, "expired", { expired: true }),
    expect: "refused",
  },
  { name: "a peer without a certificate is refused", expect: "refused" },
  {
    name: "without Istio's ALPN a plain HTTP call is TCP, where the path rule can't match",
    app: "api",
    alpn: ["http/1.1"],
    certificate: ({ cluster }) => issue(cluster, "plain-alpn", {}),
    expect: "refused",
  },
];

export const PEERS: readonly Row[] = PEERS_TABLE.map((peer) => ({ name: peer.name, run: (walk) => knock(walk, peer) }));

async function knock(walk: Walk, peer: Peer): Promise<void> {
  const { cluster } = walk;
  const app = peer.app ?? "echo";
  const ip = await cluster.podIP("production", await cluster.pod("production", `app=${app}`));
  const explicit = cluster.mode === "explicit";
  const plan = {
    host: ip,
    port: explicit ? 15006 : 8080,
    servername: explicit ? "inbound-8080.weft.internal" : undefined,
    alpn: peer.alpn ?? MESH_ALPN,
    name: `${app}.production.svc.cluster.local:8080`,
    ...(await peer.certificate?.(walk)),
  };
  const from = await caller(cluster, "bystander", "default");
  const outcome = await cluster.exec(from, [process.execPath, CLIENT, JSON.stringify(plan)]);
  const parsed = parseJson(outcome.stdout);
  assert.ok(parsed.ok && isRecord(parsed.value), outcome.stdout + outcome.stderr);
  if (peer.expect === "served") {
    assert.match(String(parsed.value["answer"]), /^HTTP\/1\.1 200 /, outcome.stdout);
  } else {
    assert.equal(parsed.value["answer"], "", outcome.stdout);
    // A refusal, not silence: the connection was ended by the other side.
    assert.ok(!String(parsed.value["error"]).includes("timeout"), outcome.stdout);
  }
}
