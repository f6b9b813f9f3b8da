// A pod's sidecar, or a gateway, with Envoy as its proxy: the agent beside it has the key, answers its questions, and
// tells how it goes. It lives as long as Envoy does.

import fs from "node:fs";
import path from "node:path";
import { addAccessLogService } from "../agent/access-log-service.ts";
import { ADMIN_PORT, bindAddresses } from "../agent/bootstrap.ts";
import { CertificateKeeper } from "../agent/certificate.ts";
import type { SidecarConfig } from "../agent/environment.ts";
import { EnvoyAdmin } from "../agent/envoy-admin.ts";
import { type AgentSockets, envoyBootstrap } from "../agent/envoy-bootstrap.ts";
import { type RunningEnvoy, startEnvoy } from "../agent/envoy-process.ts";
import { agentSockets, serveGrpc } from "../agent/envoy-services.ts";
import { DRAIN_CHECK_MS, ISTIO_SERIES_MAX } from "../agent/limits.ts";
import { writePeer } from "../agent/peer.ts";
import { Reports } from "../agent/reports.ts";
import { addSecretService } from "../agent/secret-service.ts";
import { LocalSecrets } from "../agent/secrets.ts";
import { receiveSpans } from "../agent/span-receiver.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Log } from "../observe/log.ts";
import { Registry } from "../observe/metrics.ts";
import { writePrometheus } from "../observe/prometheus.ts";
import type { NameTable } from "../proto/gen/istio/nds.ts";
import { AgentStream } from "./agent-stream.ts";
import type { Arguments } from "./arguments.ts";
import { openDns, openStatus, readPod } from "./pod.ts";
import type { Process, Running } from "./process.ts";
import { sayReady } from "./ready-line.ts";

type AgentArguments = Extract<Arguments, { kind: "agent" }>;
/** What the control plane has Envoy read (translate/agent.ts). */
const PEER_VARIABLE = "WEFT_PEER_METADATA";
type Quit = (cause: string) => void;

export async function startAgent(
  given: AgentArguments,
  process: Process,
  quit: Quit,
): Promise<Result<Running, readonly string[]>> {
  const log = process.logs.logger("agent");
  const config = readPod(given, log);
  if (!config.ok) return config;
  const sockets = agentSockets(config.value.files.proxyDirectory);
  if (!sockets.ok) return err([sockets.error]);
  const parts = makeParts(config.value, process, sockets.value);
  const services = await openServices(parts, quit);
  if (!services.ok) return err([services.error]);
  // Envoy's first question to the control plane shows the certificate, and so does the agent's own.
  await parts.keeper.start();
  services.value.stream.start();
  const envoy = await launch(given, parts);
  if (!envoy.ok) return err([envoy.error]);
  parts.hasEnvoy = true;
  let stopping = false;
  void envoy.value.ended.then((how) => {
    if (stopping) return;
    // The container goes with it, and is started again as a whole.
    log.error(`Envoy ended by itself: ${how}`);
    globalThis.process.exit(1);
  });
  void sayWhenReady(parts);
  return ok({
    stop: async () => {
      stopping = true;
      await drain(parts, envoy.value);
      await envoy.value.stop();
      parts.keeper.stop();
      services.value.close();
    },
  });
}

interface Parts {
  readonly config: SidecarConfig;
  readonly process: Process;
  readonly log: Log;
  readonly secrets: LocalSecrets;
  readonly registry: Registry;
  /** Of requests: bounded by itself, so that the agent's own numbers always have their place. */
  readonly reports: Registry;
  readonly keeper: CertificateKeeper;
  readonly admin: EnvoyAdmin;
  readonly sockets: AgentSockets;
  hasEnvoy: boolean;
}

function makeParts(config: SidecarConfig, process: Process, sockets: AgentSockets): Parts {
  const secrets = new LocalSecrets();
  const registry = new Registry();
  const log = process.logs.logger("agent");
  const { clock, random } = process;
  return {
    config,
    process,
    log,
    secrets,
    registry,
    reports: new Registry(ISTIO_SERIES_MAX),
    keeper: new CertificateKeeper({ config, secrets, clock, random, log, registry }),
    admin: new EnvoyAdmin({ host: bindAddresses(config).admin, port: ADMIN_PORT }),
    sockets,
    hasEnvoy: false,
  };
}

interface Services {
  readonly stream: AgentStream;
  close(): void;
}

/** Everything that others ask of the agent. */
async function openServices(parts: Parts, quit: Quit): Promise<Result<Services, string>> {
  const { config, process, secrets, keeper, sockets, log } = parts;
  const closers: (() => void)[] = [];
  const close = () => {
    for (const each of closers.reverse()) each();
  };
  const fail = (error: string): Result<never, string> => {
    close();
    return err(error);
  };
  const grpc = await serveGrpc(sockets.grpc, (server) => {
    addSecretService(server, secrets, log);
    addAccessLogService(server, new Reports(config, parts.reports));
  });
  if (!grpc.ok) return fail(grpc.error);
  closers.push(grpc.value);
  const dns = await openDns(config);
  if (!dns.ok) return fail(dns.error);
  const answerer = dns.value;
  if (answerer !== undefined) closers.push(() => answerer.close());
  const onNames = answerer === undefined ? undefined : (table: NameTable) => answerer.setTable(table);
  const stream = AgentStream.open({ config, secrets, keeper, process, onNames });
  if (!stream.ok) return fail(stream.error);
  closers.push(() => stream.value.stop());
  const spans = await receiveSpans({
    socket: sockets.spans,
    ip: config.instanceIp,
    hosts: (cluster) => stream.value.hosts(cluster),
    log,
    registry: parts.registry,
  });
  if (!spans.ok) return fail(spans.error);
  closers.push(spans.value);
  const status = await openStatus(config, {
    notReady: () => notReady(parts),
    ...pages(parts),
    agentRegistry: parts.registry,
    quit: () => quit("quitquitquit"),
    drain: () => quit("drain"),
    log: process.logs.logger("status"),
  });
  if (!status.ok) return fail(status.error);
  closers.push(() => status.value.close());
  return ok({ stream: stream.value, close });
}

function pages({ admin, keeper, registry, reports, log }: Parts) {
  const proxyPage = async () => {
    const page = await admin.prometheus();
    if (page.ok) return page.value;
    log.debug(`Envoy's metrics were not had: ${page.error}`);
    return "";
  };
  return {
    proxyPage,
    // No metric is both Envoy's and the agent's.
    mergedPage: async () => {
      keeper.refreshMetrics();
      const own = [...registry.series(), ...reports.series()];
      return writePrometheus(own) + (await proxyPage());
    },
  };
}

function launch(given: AgentArguments, { config, sockets }: Parts): Promise<Result<RunningEnvoy, string>> {
  const file = path.join(path.dirname(sockets.grpc), "envoy-rev.json");
  fs.writeFileSync(file, JSON.stringify(envoyBootstrap(config, sockets)), { mode: 0o644 });
  return startEnvoy({
    path: given.envoyPath || globalThis.process.env["WEFT_ENVOY"] || "envoy",
    bootstrap: file,
    concurrency: config.concurrency,
    logLevel: given.logLevel,
    drainMs: config.drainMs,
    env: { [PEER_VARIABLE]: writePeer(config) },
  });
}

async function notReady({ config, keeper, hasEnvoy, admin }: Parts): Promise<string | undefined> {
  if (keeper.facts === undefined) return `no certificate yet from ${config.caAddress}: see the container's log`;
  return hasEnvoy ? admin.notReady() : "Envoy has not started";
}

const READY_CHECK_MS = 25;

/** Says once how long the start took. */
async function sayWhenReady(parts: Parts): Promise<void> {
  const { clock } = parts.process;
  while ((await notReady(parts)) !== undefined) {
    await new Promise<void>((resolve) => clock.after(READY_CHECK_MS, resolve));
  }
  sayReady(parts.process, parts.registry, parts.log);
}

/** Until nothing is connected, or the drain time is over, or Envoy is gone. */
async function drain({ admin, config, log, process }: Parts, envoy: RunningEnvoy): Promise<void> {
  const asked = await admin.drain();
  if (!asked.ok) {
    log.warning(`Envoy does not drain: ${asked.error}`);
    return;
  }
  const { clock } = process;
  const over = clock.monotonicMs() + config.drainMs;
  let gone = false;
  void envoy.ended.then(() => {
    gone = true;
  });
  while (!gone && clock.monotonicMs() < over) {
    const open = await admin.connections();
    if (open.ok && open.value === 0) return;
    await new Promise<void>((resolve) => clock.after(DRAIN_CHECK_MS, resolve));
  }
}
