// Runs in a network namespace of its own: every cell of the matrices on one engine. Writes what came of each, by group and cell.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cell, type CellGroup, type CellOutcome, modeGroups, POD } from "../../authz/matrix.ts";
import { ruleGroups } from "../../authz/rule-matrix.ts";
import { CLIENTS } from "../../sim/case.ts";
import { ThemeMesh } from "../../sim/table.ts";
import { contextOf, openIdentities, secretSource } from "../sim/certificates.ts";
import { ENGINES } from "../sim/engine.ts";
import { makeCall } from "../sim/make-call.ts";
import { prepareNamespace, type Serving, startDiscovery } from "../sim/namespace.ts";
import { startOrigin } from "../sim/origin.ts";

const AT_ONCE = 8;

const [engineName, directory = ""] = process.argv.slice(2);
assert.ok(engineName === "weft" || engineName === "envoy");
const engine: "weft" | "envoy" = engineName;
prepareNamespace();
const identities = await openIdentities(directory);
const elsewhere = join(directory, "elsewhere");
mkdirSync(elsewhere);
const strangers = await openIdentities(elsewhere);
const serving: Serving = {};
const discoveryPort = await startDiscovery(serving, identities);
const groups = [...modeGroups, ...ruleGroups];
await startOrigins();
const results: Record<string, CellOutcome> = {};
for (const group of groups) await run(group);
writeFileSync(join(directory, "results.json"), JSON.stringify(results));
process.exit(0);

async function startOrigins(): Promise<void> {
  const context = contextOf(await identities.get("production", "ports"));
  const ports = new Set(groups.flatMap(({ cells }) => cells.map(({ call }) => Number(call.to.split(":")[1]))));
  await startOrigin([...ports], [POD], () => context);
}

async function run(group: CellGroup): Promise<void> {
  const proxy = { ...CLIENTS.ports, engine };
  serving.mesh = new ThemeMesh({ name: group.name, manifests: group.manifests, cases: [] });
  serving.identity = await identities.get(proxy.namespace, proxy.serviceAccount);
  const { namespace, serviceAccount } = proxy;
  serving.workload = { trustDomain: "cluster.local", namespace, serviceAccount };
  const secrets = secretSource(serving.identity, identities.rootPem);
  const stop = await ENGINES[engine]({ proxy, variant: "delta", discoveryPort, directory, secrets });
  const waiting = [...group.cells];
  const work = async (): Promise<void> => {
    for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
      results[`${group.name}: ${cell.name}`] = await outcomeOf(cell);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await stop();
}

async function outcomeOf({ call, as }: Cell): Promise<CellOutcome> {
  const shown = await (as === "stranger" ? strangers.get("production", "peer") : identities.get("production", as));
  const answer = await makeCall(call, shown);
  if (answer.arrival !== undefined) return "arrives";
  if (answer.status !== 403) return "refused";
  assert.equal(answer.body, "RBAC: access denied");
  return 403;
}
