// Runs in a network namespace of its own, where all of 10.0.0.0/8 is this machine and the firewall leads calls to the
// proxy: every case of the table on one engine. Writes what disagrees, by theme and case, as one JSON object.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SecureContext } from "node:tls";
import type { Outcome } from "../../sim/call.ts";
import { CLIENTS, type Client, type SimCase, type Theme } from "../../sim/case.ts";
import { THEMES } from "../../sim/cases.ts";
import { holding } from "../../sim/held.ts";
import { MESH } from "../../sim/mesh.ts";
import { simulate } from "../../sim/simulate.ts";
import { ThemeMesh } from "../../sim/table.ts";
import { contextOf, type Identities, openIdentities, secretSource } from "./certificates.ts";
import { disagreement } from "./compare.ts";
import { ENGINES } from "./engine.ts";
import { makeCall } from "./make-call.ts";
import { prepareNamespace, type Serving, startDiscovery } from "./namespace.ts";
import { startOrigin } from "./origin.ts";

const [engineName, directory = "", only = ""] = process.argv.slice(2);
assert.ok(engineName === "weft" || engineName === "envoy");
const engine: "weft" | "envoy" = engineName;

interface Group {
  readonly theme: Theme;
  readonly mesh: ThemeMesh;
  readonly client: Client;
  readonly cases: readonly { readonly one: SimCase; readonly outcome: Outcome }[];
}

prepareNamespace();
const identities = await openIdentities(directory);
await writeFiles(identities);
const groups = THEMES.filter(({ name }) => name.includes(only)).flatMap(groupsOf);
const serving: Serving = {};
const discoveryPort = await startDiscovery(serving, identities);
await startOrigins();
const results: Record<string, string> = {};
for (const [i, group] of groups.entries()) await run(group, i % 2 === 0 ? "delta" : "sotw");
writeFileSync(join(directory, "results.json"), JSON.stringify(results));
process.exit(0);

/** What DestinationRules of the table name. */
async function writeFiles(from: Identities): Promise<void> {
  const { key, cert } = await from.get("production", "files");
  writeFileSync(join(directory, "cert.pem"), cert);
  writeFileSync(join(directory, "key.pem"), key);
  writeFileSync(join(directory, "ca.pem"), from.rootPem);
}

/** Certificates where manifests say that there are some. */
function placeFiles(text: string): string {
  const base64 = (file: string): string => readFileSync(join(directory, file)).toString("base64");
  return text
    .replaceAll("/etc/certs", directory)
    .replaceAll("CERTIFICATE_64", base64("cert.pem"))
    .replaceAll("PRIVATE_KEY_64", base64("key.pem"));
}

function groupsOf(theme: Theme): readonly Group[] {
  const mesh = new ThemeMesh(theme, placeFiles);
  const real = theme.cases.filter(({ onlySimulated }) => onlySimulated === undefined);
  const clients = [...new Set(real.map((one) => mesh.clientOf(one)))];
  return clients.map((client) => {
    const held = holding(mesh.configuration(client, engine));
    const own = real.filter((one) => mesh.clientOf(one) === client);
    return { theme, mesh, client, cases: own.map((one) => ({ one, outcome: simulate(one.call, held) })) };
  });
}

/** On the ports that anything leads to; that of sidecars only where the proxies of this run don't listen themselves. */
async function startOrigins(): Promise<void> {
  const contexts = new Map<string, SecureContext>();
  for (const { name, namespace = "production", pods } of MESH) {
    for (const { ip, account } of pods) contexts.set(ip, contextOf(await identities.get(namespace, account ?? name)));
  }
  const stranger = contextOf(await identities.get("outside", "nobody"));
  const outcomes = groups.flatMap(({ cases }) => cases.map(({ outcome }) => outcome));
  const reached = new Set(
    outcomes.flatMap(({ hosts = [] }) => hosts.map((host) => Number(host.split(" ")[0]?.split(":")[1]))),
  );
  const at = (address: string): SecureContext => contexts.get(address) ?? stranger;
  await startOrigin(
    [...reached].filter((port) => port !== 15_006 && port !== 15_001),
    ["0.0.0.0"],
    at,
  );
}

async function run({ theme, mesh, client, cases }: Group, variant: "delta" | "sotw"): Promise<void> {
  const proxy = { ...CLIENTS[client], engine };
  serving.mesh = mesh;
  serving.identity = await identities.get(proxy.namespace, proxy.serviceAccount);
  const { namespace, serviceAccount } = proxy;
  serving.workload = { trustDomain: "cluster.local", namespace, serviceAccount };
  const secrets = secretSource(serving.identity, identities.rootPem);
  const stop = await ENGINES[engine]({ proxy, variant, discoveryPort, directory, secrets });
  const peers = client === "explicit" ? await startPeers() : undefined;
  for (const { one, outcome } of cases) {
    // Some wait, as for a connection that says nothing of what it is.
    const seen = await makeCall(one.call, await identities.get("production", "peer"));
    const problem = disagreement(one.call, outcome, seen, serving.identity.id);
    if (problem !== undefined) results[`${theme.name}: ${one.name}`] = problem;
    else results[`${theme.name}: ${one.name}`] = "";
  }
  peers?.();
  await stop();
}

/** The sidecars' own port, where it is called by its address. */
async function startPeers(): Promise<() => void> {
  const pods = MESH.flatMap(({ name, namespace = "production", pods: own }) =>
    own.map((pod) => ({ pod, name, namespace })),
  );
  const contexts = new Map<string, SecureContext>();
  for (const { pod, name, namespace } of pods)
    contexts.set(pod.ip, contextOf(await identities.get(namespace, pod.account ?? name)));
  const addresses = pods.map(({ pod }) => pod.ip);
  const stranger = contextOf(await identities.get("outside", "nobody"));
  return startOrigin([15_006], addresses, (address) => contexts.get(address) ?? stranger);
}
