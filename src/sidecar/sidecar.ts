// A pod's sidecar, or a gateway, in one process: the agent gets a certificate, the proxy gets its configuration, the ports tell how it goes.

import { ADMIN_PORT, bindAddresses, makeBootstrap } from "../agent/bootstrap.ts";
import { CertificateKeeper } from "../agent/certificate.ts";
import type { SidecarDns } from "../agent/dns.ts";
import type { SidecarConfig } from "../agent/environment.ts";
import { LocalSecrets } from "../agent/secrets.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Log } from "../observe/log.ts";
import { Registry } from "../observe/metrics.ts";
import { writePrometheus } from "../observe/prometheus.ts";
import type { NameTable } from "../proto/gen/istio/nds.ts";
import { startAdmin } from "../proxy/admin/server.ts";
import { type RunningProxy, startProxy } from "../proxy/run/proxy.ts";
import { makeAdsSource } from "../proxy/subscribe/ads.ts";
import { readAdsTarget } from "../proxy/subscribe/target.ts";
import { processView } from "./admin-view.ts";
import type { Arguments } from "./arguments.ts";
import { openDns, openStatus, readPod, readToken } from "./pod.ts";
import type { Process, Running } from "./process.ts";
import { sayReady } from "./ready-line.ts";
import { withTrust } from "./trust-source.ts";
import { type WatchedSource, watchSource } from "./watch-source.ts";

type SidecarArguments = Extract<Arguments, { kind: "sidecar" }>;
type Started = Result<Running, readonly string[]>;

export async function startSidecar(
  given: SidecarArguments,
  process: Process,
  quit: (cause: string) => void,
): Promise<Started> {
  const log = process.logs.logger("agent");
  const config = readPod(given, log);
  if (!config.ok) return config;
  const parts = makeParts(config.value, process);
  const dns = await openDns(config.value);
  if (!dns.ok) return err([dns.error]);
  const watched = openSource(parts, dns.value);
  if (!watched.ok) return watched;
  const progress = new Progress();
  const status = await openStatus(config.value, {
    notReady: () => progress.notReady(parts, watched.value),
    ...pages(parts),
    agentRegistry: parts.agentRegistry,
    quit: () => quit("quitquitquit"),
    drain: () => quit("drain"),
    log: process.logs.logger("status"),
  });
  if (!status.ok) return err([status.error]);
  // The certificate comes first: with it the configuration stream is the workload's own.
  await parts.keeper.start();
  const proxy = startProxy({
    // The stream to the control plane is this process's own, not a cluster that requests could go to.
    bootstrap: { ...parts.bootstrap, staticResources: undefined },
    source: watched.value.source,
    localSecrets: parts.secrets,
    selfIp:
      config.value.interceptionMode === "REDIRECT" && given.proxyType === "sidecar"
        ? config.value.instanceIp
        : undefined,
    clock: process.clock,
    random: process.random,
    registry: parts.registry,
    // Istio's: the pod ends soon, and its clients should know from the first answer on.
    drain: { ms: config.value.drainMs, strategy: "immediate" },
  });
  progress.proxy = proxy;
  proxy.ready.catch((error: unknown) =>
    log.error(`listeners: ${error instanceof Error ? error.message : String(error)}`),
  );
  const context = {
    view: processView(proxy.view, {
      logs: process.logs,
      secrets: parts.secrets,
      commandLine: { concurrency: 1, mode: "Serve", drain_time: `${config.value.drainMs / 1000}s` },
      quit: () => quit("quitquitquit"),
    }),
    wallMs: process.clock.wallMs,
  };
  const admin = await startAdmin(context, { host: bindAddresses(config.value).admin, port: ADMIN_PORT });
  if (!admin.ok) return err([admin.error]);
  progress.watch(parts, watched.value);
  return ok({
    stop: async () => {
      await proxy.drain();
      parts.keeper.stop();
      watched.value.source.stop();
      admin.value.close();
      dns.value?.close();
      status.value.close();
      proxy.close();
    },
  });
}

interface Parts {
  readonly config: SidecarConfig;
  readonly process: Process;
  readonly log: Log;
  readonly secrets: LocalSecrets;
  readonly registry: Registry;
  readonly agentRegistry: Registry;
  readonly keeper: CertificateKeeper;
  readonly bootstrap: ReturnType<typeof makeBootstrap>;
}

function makeParts(config: SidecarConfig, process: Process): Parts {
  const secrets = new LocalSecrets();
  const agentRegistry = new Registry();
  const log = process.logs.logger("agent");
  const { clock, random } = process;
  return {
    config,
    process,
    log,
    secrets,
    registry: new Registry(),
    agentRegistry,
    keeper: new CertificateKeeper({ config, secrets, clock, random, log, registry: agentRegistry }),
    bootstrap: makeBootstrap(config),
  };
}

function pages({ registry, agentRegistry, keeper }: Parts) {
  return {
    proxyPage: () => writePrometheus(registry.series()),
    mergedPage: () => {
      keeper.refreshMetrics();
      return writePrometheus(chain(registry.series(), agentRegistry.series()));
    },
  };
}

function* chain<T>(...parts: readonly Iterable<T>[]): IterableIterator<T> {
  for (const part of parts) yield* part;
}

function openSource(parts: Parts, dns: SidecarDns | undefined): Result<WatchedSource, readonly string[]> {
  const { config, secrets, keeper } = parts;
  const { clock, random, logs } = parts.process;
  const token = () => readToken(config);
  const target = readAdsTarget(parts.bootstrap, { secrets, token, clock, random });
  if (!target.ok) return err([target.error]);
  if (target.value === undefined) return err(["the bootstrap names no control plane"]);
  const { tls } = target.value;
  const checked = tls === undefined ? undefined : { ...tls, rootPem: () => keeper.rootPem() };
  const onNames = dns === undefined ? undefined : (table: NameTable) => dns.setTable(table);
  const source = makeAdsSource({ ...target.value, tls: checked, onNames });
  const trusting = withTrust(source, (value) => keeper.takeTrust(value));
  return ok(watchSource(trusting, target.value.target, logs.logger("xds")));
}

const READY_CHECK_MS = 10;

/** From nothing to ready, and the line in the log that says so. */
class Progress {
  proxy: RunningProxy | undefined;
  notReady(parts: Parts, watched: WatchedSource): string | undefined {
    if (parts.keeper.facts === undefined)
      return `no certificate yet from ${parts.config.caAddress}: see the container's log`;
    if (!watched.wasConnected())
      return `no configuration stream yet to ${parts.config.discoveryAddress}: see the container's log`;
    const view = this.proxy?.view;
    if (view === undefined || view.state() !== "LIVE")
      return [`the proxy is ${view?.state() ?? "starting"}`, ...(view?.heldUp() ?? [])].join("; ");
    // A gateway serves what Gateways ask for, which may be nothing yet.
    const idle = view.listeners().length === 0 && parts.config.proxyType === "sidecar";
    return idle ? "no listener is active yet" : undefined;
  }

  /** Says once how long the start took. */
  watch(parts: Parts, watched: WatchedSource): void {
    const { clock } = parts.process;
    if (this.notReady(parts, watched) !== undefined) {
      clock.after(READY_CHECK_MS, () => this.watch(parts, watched));
      return;
    }
    sayReady(parts.process, parts.agentRegistry, parts.log);
  }
}
