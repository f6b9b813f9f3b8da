// Composition root of the local cluster: API server, certificate authority, control plane, controllers and node, in the
// order in which they need each other, and stopped in the reverse one.

import { join } from "node:path";
import type { KubeClient } from "../api/client.ts";
import { istioKinds } from "../api/istio/kinds.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import type { ApiServer } from "../apiserver/start.ts";
import { systemClock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import { startControllers } from "../controllers/start.ts";
import { DEFAULT_INJECT_OPTIONS, type InjectOptions } from "../inject/options.ts";
import { openExplicitProvider } from "../node/explicit/provider.ts";
import { ImageTable } from "../node/images.ts";
import { startNode } from "../node/node.ts";
import type { SandboxProvider } from "../node/sandbox.ts";
import { startTransparentProvider, transparentDefaults } from "../node/transparent/provider.ts";
import { LateRuntime, openApi } from "./api.ts";
import { ensureControlService, ensureDashboardAccounts, ensureNamespace } from "./bootstrap.ts";
import { openControl } from "./control-part.ts";
import { openDashboard } from "./dashboard-part.ts";
import { type DataDir, dataDirAt } from "./data-dir.ts";
import { podEnvironment } from "./environment.ts";
import type { ClusterError } from "./failure.ts";
import { injectionPlugin } from "./injection.ts";
import { Parts } from "./parts.ts";
import { proxyCommand } from "./proxy-command.ts";
import { renewPods } from "./renew.ts";
import type { RunningCluster } from "./running.ts";
import type { ApiSocket, InsideConfig } from "./task.ts";
import { openTraces } from "./trace-part.ts";
import { keepTraceService } from "./trace-service.ts";
import { unenforcedPolicies } from "./unenforced.ts";

const NODE_NAME = "weft";

export async function compose(config: InsideConfig, socket: ApiSocket): Promise<Result<RunningCluster, ClusterError>> {
  const parts = new Parts(warn);
  const composed = await start(config, socket, parts).catch((error: unknown) =>
    err(startFailure(error instanceof Error ? error.message : String(error))),
  );
  if (!composed.ok) await parts.stop();
  return composed;
}

async function start(
  config: InsideConfig,
  socket: ApiSocket,
  parts: Parts,
): Promise<Result<RunningCluster, ClusterError>> {
  const dir = dataDirAt(config.dataDir);
  const kinds = [...kubernetesKinds, ...istioKinds];
  const nodeIP = config.mode === "transparent" ? transparentDefaults.nodeIP : "127.0.0.1";
  // Built while the API server starts: from sources it takes a moment.
  const bundling = proxyCommand(config.main, join(dir.root, "cache"));
  const runtime = new LateRuntime();
  const api: Result<ApiServer, ClusterError> = await openApi({
    dir,
    kinds,
    socket,
    podRuntime: runtime,
    admission: [
      injectionPlugin(() => clientOf(api), injectOptions(config, nodeIP)),
      ...(config.mode === "explicit" ? [unenforcedPolicies] : []),
    ],
  });
  if (!api.ok) return api;
  parts.add(() => api.value.close());
  const { client, registry } = api.value;
  const namespace = await ensureNamespace(client);
  if (!namespace.ok) return err(startFailure(namespace.error.message));

  const { mode } = config;
  // In the transparent mode it brings the node's address, which what follows listens on.
  const provider = await openProvider(config, dir, socket);
  const traces = await openTraces({ dir, mode, nodeIP, warn });
  if (traces !== undefined) parts.add(() => traces.close());
  const injection = injectOptions(config, nodeIP);
  const control = await openControl({ client, dir, nodeIP, ports: config.control, warn, injection, traces }, parts);
  if (!control.ok) return control;
  const accounts = await ensureDashboardAccounts(client);
  if (!accounts.ok) return err(startFailure(accounts.error.message));
  const service = await ensureControlService(client, nodeIP, config.control);
  if (!service.ok) return err(startFailure(service.error.message));
  if (traces !== undefined) {
    const kept = keepTraceService({ client, address: nodeIP, ports: traces.ports, warn });
    parts.add(() => kept.stop());
  }
  await renewPods(client, injection);
  const controllers = startControllers({
    client,
    clock: systemClock,
    nodeName: NODE_NAME,
    kinds: registry,
    onFailure: (failure) => warn(JSON.stringify(failure)),
  });
  parts.add(() => controllers.close());
  const command = await bundling;
  if (!command.ok) return command;
  const node = await startNode({
    client,
    provider,
    images: new ImageTable(dir.images),
    clock: systemClock,
    dataDir: dir.root,
    nodeName: NODE_NAME,
    proxyCommand: command.value,
    proxy: config.proxy,
    environment: podEnvironment(process.env),
    apiCertificate: api.value.caPem,
  });
  parts.add(() => node.close());
  runtime.set(node.runtime);
  const dashboard = await openDashboard(
    { client, config, cache: join(dir.root, "cache"), control: control.value, runtime: node.runtime, traces, warn },
    parts,
  );
  return ok({
    dir,
    mode: config.mode,
    modeReason: config.modeReason,
    dashboard,
    api: `https://127.0.0.1:${config.apiPort}`,
    nodeIP,
    client,
    kinds: registry,
    runtime: node.runtime,
    stop: () => parts.stop(),
  });
}

function clientOf(api: Result<ApiServer, ClusterError>): KubeClient {
  if (!api.ok) throw new Error("no pod is admitted before the API server is there");
  return api.value.client;
}

function injectOptions(config: InsideConfig, nodeIP: string): InjectOptions {
  return {
    ...DEFAULT_INJECT_OPTIONS,
    discoveryAddress: `${nodeIP}:${config.control.tls}`,
    interceptionMode: config.mode === "transparent" ? "REDIRECT" : "NONE",
  };
}

function openProvider(config: InsideConfig, dir: DataDir, socket: ApiSocket): Promise<SandboxProvider> {
  const runDirectory = join(dir.run, config.mode);
  if (config.mode === "explicit") return openExplicitProvider({ runDirectory });
  return startTransparentProvider({
    ...transparentDefaults,
    dataDirectory: dir.root,
    runDirectory,
    upstreamSocketFd: socket.kind === "fd" ? socket.upstreamFd : undefined,
    warn,
  });
}

function warn(message: string): void {
  console.error(`weft: ${message}`);
}

function startFailure(message: string): ClusterError {
  return { message: `the cluster could not start: ${message}`, next: "What it said before may tell more." };
}
