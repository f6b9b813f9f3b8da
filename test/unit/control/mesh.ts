// A control plane with everything real: API server, authority, TLS, and weft's own discovery client.

import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import type { KubeClient } from "../../../src/api/client.ts";
import { istioKinds } from "../../../src/api/istio/kinds.ts";
import type { Kind } from "../../../src/api/kind.ts";
import { kubernetesKinds } from "../../../src/api/kubernetes/kinds.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import { startApiServer } from "../../../src/apiserver/start.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { isRecord, parseYamlDocuments } from "../../../src/base/json.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { ok } from "../../../src/base/result.ts";
import { type Authority, openAuthority } from "../../../src/ca/authority.ts";
import { makeControlTls } from "../../../src/ca/control-tls.ts";
import { followPluggedCa } from "../../../src/ca/plugged.ts";
import { addCertificateService } from "../../../src/ca/service.ts";
import { LateRuntime } from "../../../src/cluster/api.ts";
import { type ControlPlane, startControlPlane } from "../../../src/control/control.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { Node } from "../../../src/proto/gen/envoy/config/core/v3/base.ts";
import type { NameTable } from "../../../src/proto/gen/istio/nds.ts";
import { makeAdsSource } from "../../../src/proxy/subscribe/ads.ts";
import type {
  ResourceHandler,
  ResourceKind,
  ResourceRefusal,
  ResourceSource,
  ResourceUpdate,
} from "../../../src/proxy/subscribe/source.ts";

const LOOPBACK = "127.0.0.1";

export interface TestMesh {
  readonly dataDir: string;
  /** Of the API server. */
  readonly api: { readonly host: string; readonly port: number };
  readonly client: KubeClient;
  readonly control: ControlPlane;
  readonly authority: Authority;
  /** What is said of the Secret cacerts. */
  readonly caLog: readonly string[];
  apply(manifests: string): Promise<void>;
  connect(options: ProxyOptions): Promise<TestProxy>;
  /** Another run of the control plane on the same API server and the same ports. */
  restart(): Promise<ControlPlane>;
}

export async function startMesh(context: TestContext): Promise<TestMesh> {
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "weft-control-"));
  const api = await startApiServer({
    dataDir,
    kinds: [...kubernetesKinds, ...istioKinds],
    listen: { host: LOOPBACK, port: 0 },
    admission: [],
    podRuntime: new LateRuntime(),
    clock: systemClock,
  });
  assert.ok(api.ok, api.ok ? "" : api.error);
  const opened = await openAuthority({
    directory: path.join(dataDir, "ca"),
    trustDomain: "cluster.local",
    clock: systemClock,
  });
  assert.ok(opened.ok, opened.ok ? "" : opened.error);
  const authority = opened.value;
  const tls = await makeControlTls({ authority, clock: systemClock, onProblem: (message) => assert.fail(message) });
  const { client } = api.value;
  const log: string[] = [];
  const plugged = followPluggedCa({
    client,
    clock: systemClock,
    authority,
    namespace: "istio-system",
    log: (_level, message) => log.push(message),
  });
  const registry = new Registry();
  const begin = (at: Pick<ControlPlane, "secure" | "plain" | "debug"> | undefined) =>
    startControlPlane({
      client,
      clock: systemClock,
      registry: at === undefined ? registry : new Registry(),
      version: "test",
      log: () => undefined,
      ca: {
        credentials: tls.credentials,
        authority,
        register: (server) => {
          const impersonation = { client, trustedNodeAccounts: ["production/node-proxy"] };
          addCertificateService(server, { authority, client, clock: systemClock, registry, impersonation });
        },
      },
      listen: {
        secure: at?.secure ?? { address: LOOPBACK, port: 0 },
        plain: at?.plain ?? { address: LOOPBACK, port: 0 },
        debug: at?.debug ?? { address: LOOPBACK, port: 0 },
      },
    });
  const control = await begin(undefined);
  let current = control;
  const proxies: TestProxy[] = [];
  context.after(async () => {
    for (const proxy of proxies) proxy.stop();
    plugged.stop();
    await current.close();
    tls.close();
    await api.value.close();
    fs.rmSync(dataDir, { recursive: true, force: true });
  });
  await control.whenReady;
  return {
    dataDir,
    api: api.value.address,
    client,
    control,
    authority,
    caLog: log,
    apply: (manifests) => applyAll(client, manifests),
    restart: async () => {
      await current.close();
      current = await begin(control);
      return current;
    },
    connect: async (options) => {
      const proxy = await connectProxy({ client, control, authority, ...options });
      proxies.push(proxy);
      return proxy;
    },
  };
}

const ALL_KINDS: readonly Kind[] = [...kubernetesKinds, ...istioKinds];

/** Creates each object, or replaces it, its status too. */
export async function applyAll(client: KubeClient, manifests: string): Promise<void> {
  const parsed = parseYamlDocuments(manifests);
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.error);
  for (const { value } of parsed.value) {
    assert.ok(isRecord(value) && isRecord(value["metadata"]));
    const kind = ALL_KINDS.find((each) => each.kind === value["kind"]);
    assert.ok(kind, `no kind ${String(value["kind"])}`);
    const { status, ...rest } = value;
    const metadata = { ...value["metadata"], name: String(value["metadata"]["name"]) };
    const object: KubeObject = { ...rest, apiVersion: String(value["apiVersion"]), kind: kind.kind, metadata };
    const namespace = value["metadata"]["namespace"];
    const ref = { name: metadata.name, ...(typeof namespace === "string" ? { namespace } : {}) };
    const created = await client.create(kind, object);
    if (!created.ok && created.error.reason === "AlreadyExists") {
      const patched = await client.mergePatch(kind, ref, { body: rest });
      assert.ok(patched.ok, patched.ok ? "" : patched.error.message);
    } else assert.ok(created.ok, created.ok ? "" : `${kind.kind} ${metadata.name}: ${created.error.message}`);
    if (status !== undefined) {
      const patched = await client.mergePatch(kind, ref, { body: { status }, subresource: "status" });
      assert.ok(patched.ok, patched.ok ? "" : patched.error.message);
    }
  }
}

export interface ProxyOptions {
  readonly pod: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly variant?: "delta" | "sotw";
  /** Whose token it shows; its own by default. */
  readonly tokenOf?: { readonly namespace: string; readonly serviceAccount: string };
  readonly refuse?: (update: ResourceUpdate) => readonly ResourceRefusal[];
  /** It answers its application's DNS questions. */
  readonly onNames?: (table: NameTable) => void;
}

interface Place {
  readonly client: KubeClient;
  readonly control: ControlPlane;
  readonly authority: Authority;
}

/** A proxy that takes what it is sent and asks for what that refers to. */
export class TestProxy implements ResourceHandler {
  readonly held: Record<ResourceKind, Map<string, unknown>> = {
    cluster: new Map(),
    endpoint: new Map(),
    listener: new Map(),
    route: new Map(),
    secret: new Map(),
  };
  readonly order: string[] = [];
  readonly causes: string[] = [];
  readonly #refuse: ProxyOptions["refuse"];
  #source: ResourceSource | undefined;

  constructor(refuse: ProxyOptions["refuse"]) {
    this.#refuse = refuse;
  }

  start(source: ResourceSource): void {
    this.#source = source;
    source.start(this);
  }

  stop(): void {
    this.#source?.stop();
  }

  onState(state: Parameters<ResourceHandler["onState"]>[0]): void {
    if (state.kind === "disconnected") this.causes.push(state.cause);
  }

  onUpdate(update: ResourceUpdate): readonly ResourceRefusal[] {
    const refused = this.#refuse?.(update) ?? [];
    for (const { name, resource } of update.changed) {
      if (refused.some((each) => each.resource === name)) continue;
      this.held[update.kind].set(name, resource);
      this.order.push(`${update.kind} ${name}`);
    }
    for (const name of update.removed) {
      this.held[update.kind].delete(name);
      this.order.push(`-${update.kind} ${name}`);
    }
    if (update.kind === "cluster") this.#source?.setWanted("endpoint", new Set(this.#edsNames()));
    if (update.kind === "listener") this.#source?.setWanted("route", new Set(this.#routeNames()));
    return refused;
  }

  #edsNames(): readonly string[] {
    return [...this.held.cluster].flatMap(([name, cluster]) =>
      isRecord(cluster) && cluster["edsClusterConfig"] !== undefined ? [name] : [],
    );
  }

  #routeNames(): readonly string[] {
    // The names are in the listener's bytes as they stand; what a listener is called tells which.
    return [...this.held.listener.keys()].flatMap((name) => {
      const port = /^0\.0\.0\.0_(\d+)$/.exec(name)?.[1];
      if (port !== undefined) return [port];
      if (name === "http_proxy") return [name];
      return name === "10.96.0.7_8080" ? ["api.production.svc.cluster.local:8080"] : [];
    });
  }
}

async function connectProxy(options: Place & ProxyOptions): Promise<TestProxy> {
  const { client, control, authority } = options;
  const account = options.tokenOf ?? options;
  const token = await client.createToken({
    namespace: account.namespace,
    serviceAccount: account.serviceAccount,
    audiences: ["istio-ca"],
    expirationSeconds: 3_600,
  });
  assert.ok(token.ok, token.ok ? "" : token.error.message);
  const proxy = new TestProxy(options.refuse);
  const source = makeAdsSource({
    target: `${LOOPBACK}:${control.secure.port}`,
    tls: {
      rootPem: () => ok(authority.rootPem),
      serverName: "istiod.istio-system.svc",
      secrets: undefined,
      token: () => token.value,
    },
    node: Node.fromPartial({
      id: `sidecar~${options.address}~${options.pod}.${options.namespace}~${options.namespace}.svc.cluster.local`,
      metadata: {
        LABELS: options.labels,
        NAMESPACE: options.namespace,
        INTERCEPTION_MODE: "REDIRECT",
        ...(options.onNames === undefined ? {} : { DNS_CAPTURE: "true" }),
      },
    }),
    variant: options.variant ?? "delta",
    wildcards: new Set(["cluster", "listener"]),
    onNames: options.onNames,
    clock: systemClock,
    random: seededRandom(1),
  });
  proxy.start(source);
  return proxy;
}

/** Waits for something to become true; says what when it doesn't. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 5_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await holds())) {
    assert.ok(performance.now() < endMs, `within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
