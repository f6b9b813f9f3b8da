// The proxy alone, on a bootstrap file of one's own (JSON or YAML): for benchmarks, tests and other control planes.

import { readText } from "../agent/read-text.ts";
import { LocalSecrets } from "../agent/secrets.ts";
import { parseJson, parseYamlDocuments } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { Registry } from "../observe/metrics.ts";
import { Bootstrap } from "../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { fromEnvoyJson } from "../proto/json.ts";
import { startAdmin } from "../proxy/admin/server.ts";
import { checkBootstrap, refusalText } from "../proxy/run/check.ts";
import { startProxy } from "../proxy/run/proxy.ts";
import { makeAdsSource } from "../proxy/subscribe/ads.ts";
import type { ResourceSource } from "../proxy/subscribe/source.ts";
import { readAdsTarget } from "../proxy/subscribe/target.ts";
import { processView } from "./admin-view.ts";
import { readDataSources } from "./data-source.ts";
import type { Process, Running } from "./process.ts";
import { watchSource } from "./watch-source.ts";

const DRAIN_MS = 5_000;

export async function startStatic(
  file: string,
  process: Process,
  quit: (cause: string) => void,
): Promise<Result<Running, readonly string[]>> {
  const bootstrap = readBootstrap(file);
  if (!bootstrap.ok) return bootstrap;
  const secrets = new LocalSecrets();
  const source = openSource(bootstrap.value, secrets, process);
  if (!source.ok) return err([`${file}: ${source.error}`]);
  const proxy = startProxy({
    bootstrap: bootstrap.value,
    source: source.value,
    localSecrets: secrets,
    clock: process.clock,
    random: process.random,
    registry: new Registry(),
  });
  const failure = await proxy.ready.then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  if (failure !== undefined) {
    proxy.close();
    return err(failure.split("\n").map((line) => `${file}: ${line}`));
  }
  const view = processView(proxy.view, { logs: process.logs, secrets, quit: () => quit("quitquitquit") });
  const address = bootstrap.value.admin?.address?.address;
  let closeAdmin = () => undefined;
  if (address?.$case === "socketAddress") {
    const port = address.value.portSpecifier?.$case === "portValue" ? address.value.portSpecifier.value : 0;
    const admin = await startAdmin({ view, wallMs: process.clock.wallMs }, { host: address.value.address, port });
    if (!admin.ok) return err([`admin: ${admin.error}`]);
    process.logs.logger("main").info(`admin interface on ${address.value.address}:${admin.value.port}`);
    closeAdmin = () => {
      admin.value.close();
    };
  }
  return ok({
    stop: async () => {
      await Promise.race([proxy.drain(), new Promise((resolve) => setTimeout(resolve, DRAIN_MS))]);
      source.value?.stop();
      closeAdmin();
      proxy.close();
    },
  });
}

/** What starting would refuse, without binding or connecting anything. */
export function validateStatic(file: string): readonly string[] {
  const bootstrap = readBootstrap(file);
  if (!bootstrap.ok) return bootstrap.error;
  return checkBootstrap(bootstrap.value).map((refusal) => `${file}: ${refusalText(refusal)}`);
}

/** Every unknown field is named with its path. */
export function readBootstrap(file: string): Result<Bootstrap, readonly string[]> {
  const text = readText(file);
  if (!text.ok) return err([text.error]);
  const parsed = parse(text.value);
  if (!parsed.ok) return err([`${file}: ${parsed.error}`]);
  const complete = readDataSources(parsed.value, { env: globalThis.process.env });
  if (!complete.ok) return err(complete.error.map((issue) => `${file}: ${issue}`));
  const bootstrap = fromEnvoyJson(Bootstrap, complete.value);
  return bootstrap.ok ? bootstrap : err(bootstrap.error.map((issue) => `${file}: ${issue}`));
}

function parse(text: string): Result<unknown, string> {
  if (text.trimStart().startsWith("{")) return parseJson(text);
  const documents = parseYamlDocuments(text);
  if (!documents.ok) return documents;
  const [only, ...more] = documents.value;
  return only === undefined || more.length > 0 ? err("expected exactly one YAML document") : ok(only.value);
}

function openSource(
  bootstrap: Bootstrap,
  secrets: LocalSecrets,
  process: Process,
): Result<ResourceSource | undefined, string> {
  const { clock, random, logs } = process;
  const target = readAdsTarget(bootstrap, { secrets, token: () => undefined, clock, random });
  if (!target.ok) return target;
  // All there is stands in the file.
  if (target.value === undefined) return ok(undefined);
  return ok(watchSource(makeAdsSource(target.value), target.value.target, logs.logger("xds")).source);
}
