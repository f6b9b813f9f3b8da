// The proxy alone, on a bootstrap of one's own: for benchmarks, tests and other control planes.

import fs from "node:fs";
import { LocalSecrets } from "../agent/secrets.ts";
import { err, ok, type Result } from "../base/result.ts";
import { Registry } from "../observe/metrics.ts";
import type { Bootstrap } from "../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { startAdmin } from "../proxy/admin/server.ts";
import { checkBootstrap, refusalText } from "../proxy/run/check.ts";
import { type ProxyOptions, type RunningProxy, startProxy } from "../proxy/run/proxy.ts";
import { makeFileSource } from "../proxy/subscribe/files.ts";
import type { ResourceSource } from "../proxy/subscribe/source.ts";
import { joinSources, readSources } from "../proxy/subscribe/sources.ts";
import { readAdsTarget } from "../proxy/subscribe/target.ts";
import { processView } from "./admin-view.ts";
import type { ServerOptions } from "./arguments.ts";
import { placeOf, readBootstrap } from "./bootstrap-file.ts";
import { commandLineOptions } from "./command-line-options.ts";
import { type Launched, launched } from "./handover.ts";
import type { Process, Running } from "./process.ts";
import { watchSource } from "./watch-source.ts";

export async function startStatic(
  options: ServerOptions,
  process: Process,
  quit: (cause: string) => void,
): Promise<Result<Running, readonly string[]>> {
  const place = placeOf(options);
  const handover = launched(quit);
  const bootstrap = readBootstrap(options);
  if (!bootstrap.ok) return bootstrap;
  const secrets = new LocalSecrets();
  const source = await openSource(bootstrap.value, secrets, process);
  if (!source.ok) return err([`${place}: ${source.error}`]);
  const proxyOptions = {
    bootstrap: bootstrap.value,
    source: source.value,
    localSecrets: secrets,
    clock: process.clock,
    random: process.random,
    registry: new Registry(),
    drain: { ms: options.drainMs, strategy: options.drainStrategy },
    listening: { kind: "own", handover },
  } as const;
  const proxy = await start(proxyOptions, options, process);
  // Before the listeners: whoever asks why nothing serves yet is answered.
  const closeAdmin = await openAdmin({ options, process, proxy, secrets, quit, handover }, bootstrap.value);
  if (!closeAdmin.ok) {
    proxy.close();
    return err([closeAdmin.error]);
  }
  const failure = await proxy.ready.then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  if (failure !== undefined) {
    proxy.close();
    closeAdmin.value();
    return err(failure.split("\n").map((line) => `${place}: ${line}`));
  }
  handover?.ready();
  return ok({
    stop: async () => {
      // Who took over listens to all of it: what is open here is only finished.
      if (handover?.retired === true) {
        const all = { inboundOnly: false, graceful: false, skipExit: false };
        proxy.view.drainListeners(all);
        closeAdmin.value();
        setTimeout(() => globalThis.process.exit(0), options.parentShutdownMs);
      }
      await proxy.drain();
      source.value.stop();
      closeAdmin.value();
      proxy.close();
    },
  });
}

/** One worker is this thread; several are threads of their own. */
async function start(proxy: ProxyOptions, options: ServerOptions, process: Process): Promise<RunningProxy> {
  if (options.concurrency === 1) return startProxy(proxy);
  const { startWorkers } = await import("../proxy/run/workers.ts");
  const log = process.logs.logger("main");
  return startWorkers(proxy, {
    count: options.concurrency,
    entry: globalThis.process.argv[1] ?? "",
    logLevel: options.logLevel,
    onDeath(message) {
      log.error(`${message}: the process ends`);
      globalThis.process.exit(1);
    },
  });
}

/** What starting would refuse, without binding or connecting anything. */
export function validateStatic(options: ServerOptions): readonly string[] {
  const bootstrap = readBootstrap(options);
  if (!bootstrap.ok) return bootstrap.error;
  return checkBootstrap(bootstrap.value).map((refusal) => `${placeOf(options)}: ${refusalText(refusal)}`);
}

interface AdminParts {
  readonly options: ServerOptions;
  readonly process: Process;
  readonly proxy: RunningProxy;
  readonly secrets: LocalSecrets;
  readonly quit: (cause: string) => void;
  readonly handover: Launched | undefined;
}

/** Returns how to close it. */
async function openAdmin(parts: AdminParts, bootstrap: Bootstrap): Promise<Result<() => void, string>> {
  const { options, process, proxy, secrets, quit, handover } = parts;
  const address = bootstrap.admin?.address?.address;
  if (address?.$case !== "socketAddress") return ok(() => undefined);
  const view = processView(proxy.view, {
    logs: process.logs,
    secrets,
    commandLine: { ...commandLineOptions(options), restart_epoch: handover?.epoch ?? 0 },
    quit: () => quit("quitquitquit"),
  });
  const port = address.value.portSpecifier?.$case === "portValue" ? address.value.portSpecifier.value : 0;
  const admin = await startAdmin(
    { view, wallMs: process.clock.wallMs },
    { host: address.value.address, port },
    handover,
  );
  if (!admin.ok) return err(`admin: ${admin.error}`);
  const bound = `${address.value.address}:${admin.value.port}`;
  process.logs.logger("main").info(`admin interface on ${bound}`);
  if (options.adminAddressPath !== "") {
    const written = write(options.adminAddressPath, bound);
    if (!written.ok) return err(`--admin-address-path: ${written.error}`);
  }
  return ok(() => admin.value.close());
}

function write(path: string, text: string): Result<void, string> {
  try {
    fs.writeFileSync(path, text);
    return ok(undefined);
  } catch (error) {
    return err(`can't be written: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function openSource(
  bootstrap: Bootstrap,
  secrets: LocalSecrets,
  process: Process,
): Promise<Result<ResourceSource, string>> {
  const { clock, random, logs } = process;
  const sources = readSources(bootstrap);
  if (!sources.ok) return sources;
  const target = readAdsTarget(bootstrap, { secrets, token: () => undefined, clock, random });
  if (!target.ok) return target;
  const log = logs.logger("xds");
  const { cluster, listener } = sources.value;
  const files = makeFileSource({
    cluster: typeof cluster === "string" ? undefined : cluster,
    listener: typeof listener === "string" ? undefined : listener,
    onProblem: (text) => log.warning(text),
  });
  if (target.value === undefined) return ok(watchSource(files, "files", log).source);
  // A client library of several megabytes, for those that have a control plane.
  const { makeAdsSource } = await import("../proxy/subscribe/ads.ts");
  return ok(watchSource(joinSources(makeAdsSource(target.value), files), target.value.target, log).source);
}
