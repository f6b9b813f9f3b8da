// A whole small cluster for tests: real store, controllers and node, explicit mode, everything in one temporary directory.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KubeClient } from "../../../src/api/client.ts";
import type { Kind } from "../../../src/api/kind.ts";
import { deploymentKind } from "../../../src/api/kubernetes/deployment.ts";
import { eventKind } from "../../../src/api/kubernetes/event.ts";
import { kubernetesKinds } from "../../../src/api/kubernetes/kinds.ts";
import { namespaceKind } from "../../../src/api/kubernetes/namespace.ts";
import { type Pod, podKind } from "../../../src/api/kubernetes/pod.ts";
import type { PodSpec } from "../../../src/api/kubernetes/pod-spec.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import { LocalClient } from "../../../src/apiserver/client.ts";
import { Resources } from "../../../src/apiserver/resources.ts";
import { openStore } from "../../../src/apiserver/store.ts";
import { makeTokenKeyPem, Tokens } from "../../../src/apiserver/tokens.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { err, type Result } from "../../../src/base/result.ts";
import { startControllers } from "../../../src/controllers/start.ts";
import type { RestartDelays } from "../../../src/node/container-runner.ts";
import type { ProxyOfNode } from "../../../src/node/context.ts";
import { openExplicitProvider } from "../../../src/node/explicit/provider.ts";
import { ImageTable } from "../../../src/node/images.ts";
import { type Node, startNode } from "../../../src/node/node.ts";

export interface World {
  readonly client: KubeClient;
  readonly node: Node;
  readonly images: ImageTable;
  readonly dataDir: string;
  readonly failures: readonly string[];
  readonly leftovers: number;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly dataDir: string;
  readonly delays?: RestartDelays;
  readonly proxyCommand?: readonly string[];
  readonly proxy?: ProxyOfNode;
}

export const NAMESPACE = "shop";

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), "weft-node-"));
}

export function removeDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

export async function openWorld(options: WorldOptions): Promise<World> {
  const { dataDir } = options;
  const store = value(openStore(join(dataDir, "state.db")));
  const resources = new Resources({ store, registry: { kinds: kubernetesKinds }, admission: [], clock: systemClock });
  const tokens = new Tokens({ store, clock: systemClock, keyPem: makeTokenKeyPem() });
  const client = new LocalClient(resources, tokens);
  await client.create(namespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  const failures: string[] = [];
  const controllers = startControllers({
    client,
    clock: systemClock,
    nodeName: "local",
    onFailure: ({ queue, key, message }) => failures.push(`${queue} ${key}: ${message}`),
  });
  const provider = await openExplicitProvider({ runDirectory: join(dataDir, "run") });
  const images = new ImageTable(join(dataDir, "images.yaml"));
  const node = await startNode({
    client,
    provider,
    images,
    clock: systemClock,
    dataDir,
    nodeName: "local",
    proxyCommand: options.proxyCommand ?? [process.execPath, "-e", "process.exit(1)"],
    proxy: options.proxy ?? { kind: "weft", envoy: err("no Envoy here") },
    environment: { PATH: process.env["PATH"] ?? "" },
    restartDelays: options.delays ?? { baseMs: 100, maxMs: 400, resetMs: 60_000 },
  });
  const close = async () => {
    await node.close();
    await controllers.close();
    await store.close();
  };
  return { client, node, images, dataDir, failures, leftovers: provider.leftovers, close };
}

export function value<T, E>(result: Result<T, E>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

export function pod(name: string, spec: PodSpec, labels: Readonly<Record<string, string>> = {}): Pod {
  return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace: NAMESPACE, labels }, spec };
}

/** argv of a Node program given as text. */
export function script(text: string): readonly string[] {
  return [process.execPath, "-e", text];
}

/** Answers every request with the text, on HOST and PORT; ends on SIGTERM. */
export function server(text: string): readonly string[] {
  return script(`
    const server = require("node:http").createServer((q, r) => r.end(${JSON.stringify(text)}));
    server.listen(Number(process.env.PORT ?? 8080), process.env.HOST, () => console.log("listening"));
    process.on("SIGTERM", () => process.exit(0));`);
}

/** Looks until the answer is there. */
export async function eventually<T>(look: () => Promise<T | undefined> | T | undefined, what: string): Promise<T> {
  const deadlineMs = Date.now() + 15_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadlineMs) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function getPod(world: World, name: string): Promise<Pod | undefined> {
  const found = await world.client.get(podKind, { namespace: NAMESPACE, name });
  return found.ok ? found.value : undefined;
}

export async function podWhen(world: World, name: string, holds: (pod: Pod) => boolean): Promise<Pod> {
  let last: Pod | undefined;
  const look = async () => {
    last = await getPod(world, name);
    return last !== undefined && holds(last) ? last : undefined;
  };
  return eventually(look, `pod ${name}: ${holds}`).catch((cause: unknown) => {
    throw new Error(`last seen: ${JSON.stringify(last?.status)}`, { cause });
  });
}

export function isReady(found: Pod): boolean {
  return found.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

export async function all<T extends KubeObject>(world: World, kind: Kind<T>): Promise<readonly T[]> {
  return value(await world.client.list(kind, { namespace: NAMESPACE }));
}

/** `reason: message` of every event about the object. */
export async function eventsOf(world: World, name: string): Promise<readonly string[]> {
  const events = await all(world, eventKind);
  return events
    .filter((event) => event.involvedObject.name === name)
    .map((event) => `${event.reason}: ${event.message}`);
}

export async function deploymentStatus(world: World, name: string) {
  return value(await world.client.get(deploymentKind, { namespace: NAMESPACE, name })).status ?? {};
}

export async function gone(world: World, name: string): Promise<void> {
  await eventually(
    async () => ((await getPod(world, name)) === undefined ? true : undefined),
    `the end of pod ${name}`,
  );
}
