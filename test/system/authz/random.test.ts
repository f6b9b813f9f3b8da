// Ten thousand requests under policies made by chance, on weft's proxy and on Envoy, over real connections: each lets in
// whom the specification lets in.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { Bootstrap } from "../../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { fromEnvoyJson } from "../../../src/proto/json.ts";
import { startProxy } from "../../../src/proxy/run/proxy.ts";
import { type Asked, askAll } from "../../authz/ask.ts";
import { bootstrapOf, type Given } from "../../authz/bootstrap.ts";
import { isAllowed } from "../../authz/expected.ts";
import { CALLERS, Dice, randomPolicies, randomRequest } from "../../authz/random.ts";
import { type Certified, certify } from "../../unit/pki.ts";
import { freePorts } from "../../walk/origin.ts";
import { skipWithoutEnvoy, startEnvoy } from "../envoy/envoy.ts";

const SEED = Number(process.env["WEFT_FUZZ_SEED"] ?? 1);
const SETS = 400;
const REQUESTS = 25;

type Start = (given: Given, directory: string) => Promise<() => void>;

const ENGINES: Readonly<Record<"weft" | "envoy", Start>> = {
  async weft(given) {
    const bootstrap = fromEnvoyJson(Bootstrap, JSON.parse(JSON.stringify(bootstrapOf(given))));
    assert.ok(bootstrap.ok, bootstrap.ok ? "" : bootstrap.error.join("\n"));
    const running = startProxy({
      bootstrap: bootstrap.value,
      source: undefined,
      localSecrets: undefined,
      clock: systemClock,
      random: seededRandom(1),
      registry: new Registry(),
      drain: { ms: 100, strategy: "immediate" },
    });
    await running.ready;
    return () => running.close();
  },
  async envoy(given, directory) {
    const running = await startEnvoy(directory, bootstrapOf(given), given.admin);
    return () => running.kill();
  },
};

for (const engine of ["weft", "envoy"] as const) {
  describe(`policies by chance on ${engine}`, { skip: engine === "envoy" && skipWithoutEnvoy() }, () => {
    const directory = mkdtempSync(join(tmpdir(), "weft-authz-"));
    const certificates = new Map<string, Certified>();
    let stop = (): void => undefined;
    let ports: readonly number[] = [];
    let given: Given | undefined;
    before(async () => {
      const root = await certify({ subject: "CN=root", isCa: true });
      for (const caller of CALLERS) {
        const names = [{ type: "url" as const, value: `spiffe://${caller}` }];
        if (caller !== undefined) certificates.set(caller, await certify({ subject: "", names, issuer: root }));
      }
      const server = await certify({ subject: "CN=server", issuer: root });
      const [admin = 0, ...free] = await freePorts(3);
      ports = free;
      const dice = new Dice(seededRandom(SEED));
      const sets = Array.from({ length: SETS }, () => randomPolicies(dice, ports));
      given = { sets, ports, admin, root, server };
      stop = await ENGINES[engine](given, directory);
    });
    after(() => {
      stop();
      rmSync(directory, { recursive: true });
    });

    it(`${SETS * REQUESTS} requests under ${SETS} sets of policies`, async () => {
      const sets = given?.sets ?? [];
      const dice = new Dice(seededRandom(SEED + 1));
      const asked = sets.flatMap((_, set) =>
        Array.from({ length: REQUESTS }, (): Asked => ({ set, request: randomRequest(dice, ports) })),
      );
      const statuses = await askAll(asked, certificates);
      const wanted = asked.map(({ request, set }) => (isAllowed(sets[set] ?? [], request) ? 200 : 403));
      const wrong = asked.flatMap(({ request, set }, i) =>
        statuses[i] === wanted[i]
          ? []
          : [
              `${statuses[i]}, not ${wanted[i]}: ${JSON.stringify(sets[set]?.map(({ spec }) => spec))}\n  ${JSON.stringify(request)}`,
            ],
      );
      assert.equal(wrong.length, 0, `WEFT_FUZZ_SEED=${SEED}: ${wrong.length} wrong\n${wrong.slice(0, 8).join("\n")}`);
      const allowed = wanted.filter((status) => status === 200).length / wanted.length;
      assert.ok(allowed > 0.2 && allowed < 0.8, `${allowed} are allowed: both answers are put to the test`);
    });
  });
}
