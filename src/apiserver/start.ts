// The local cluster's API server: store, rules, tokens and the HTTPS front, put together.

import fs from "node:fs";
import path from "node:path";
import type { KubeClient } from "../api/client.ts";
import { eraseKind, type Kind } from "../api/kind.ts";
import { eventKind } from "../api/kubernetes/event.ts";
import { namespaceKind } from "../api/kubernetes/namespace.ts";
import { clusterRoleBindingKind, clusterRoleKind } from "../api/kubernetes/role.ts";
import type { Clock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { LocalClient } from "./client.ts";
import { definitionPlugin, KindRegistry } from "./custom/registry.ts";
import { escalationPlugin } from "./escalation.ts";
import { FIRST_BINDING, FIRST_ROLES } from "./first-roles.ts";
import { SYSTEM_USER } from "./http.ts";
import { makeKubeconfig } from "./kubeconfig.ts";
import { EVENT_AGE_MAX_MS, EVENT_SWEEP_INTERVAL_MS } from "./limits.ts";
import { openPki, type Pki } from "./pki.ts";
import type { PodRuntime } from "./pod-runtime.ts";
import { Authorizer } from "./rbac.ts";
import { Reader } from "./read.ts";
import { collectionOf, Resources } from "./resources.ts";
import { type ListenOn, openFront } from "./server.ts";
import { openStore, type Store } from "./store.ts";
import { Tokens } from "./tokens.ts";
import { webhookPlugin } from "./webhooks.ts";
import { Writer } from "./write.ts";

export interface ApiServerOptions {
  /** `state.db` and `pki/` live here; made when missing. */
  readonly dataDir: string;
  readonly kinds: readonly Kind[];
  readonly listen: ListenOn;
  readonly admission: readonly AdmissionPlugin[];
  readonly podRuntime: PodRuntime;
  readonly clock: Clock;
}

export interface ApiServer {
  readonly client: KubeClient;
  readonly registry: KindRegistry;
  readonly address: { readonly host: string; readonly port: number };
  readonly caPem: string;
  /** For the administrator; contains a credential. */
  kubeconfig(): string;
  /** Ends all connections and watches; everything acknowledged is on disk. */
  close(): Promise<void>;
}

const FIRST_NAMESPACES = ["default", "kube-node-lease", "kube-public", "kube-system"];

export async function startApiServer(options: ApiServerOptions): Promise<Result<ApiServer, string>> {
  const { dataDir, kinds, clock } = options;
  const opened = await openState(dataDir, options);
  if (!opened.ok) return opened;
  const { store, pki } = opened.value;
  const registry = new KindRegistry(kinds, store);
  const authorizer = new Authorizer(store);
  const admission = [
    ...options.admission,
    webhookPlugin("mutating", store),
    escalationPlugin(authorizer),
    definitionPlugin(kinds),
    webhookPlugin("validating", store),
  ];
  const resources = new Resources({ store, registry, admission, clock });
  registry.follow(resources, clock);
  const tokens = new Tokens({ store, clock, keyPem: pki.tokenKeyPem });
  await makeFirst(resources);
  const reader = new Reader(resources, clock);
  const writer = new Writer(resources);
  const runtime = options.podRuntime;
  const handlers = { registry, resources, tokens, authorizer, runtime, reader, writer, clock };
  const front = await openFront(handlers, pki, options.listen);
  if (!front.ok) {
    store.close();
    return front;
  }
  const stopSweeping = sweepEvents(store, clock);
  const { address } = front.value;
  return ok({
    client: new LocalClient(resources, tokens),
    registry,
    address,
    caPem: pki.caPem,
    kubeconfig: () => makeKubeconfig({ address, caPem: pki.caPem, token: pki.adminToken }),
    close: async () => {
      stopSweeping();
      await front.value.close();
      store.close();
    },
  });
}

async function openState(
  dataDir: string,
  options: ApiServerOptions,
): Promise<Result<{ store: Store; pki: Pki }, string>> {
  try {
    fs.mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    return err(`cannot make the data directory ${dataDir}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const host = "host" in options.listen ? options.listen.host : "127.0.0.1";
  const pki = await openPki(path.join(dataDir, "pki"), { host, wallMs: options.clock.wallMs() });
  if (!pki.ok) return pki;
  const store = openStore(path.join(dataDir, "state.db"));
  return store.ok ? ok({ store: store.value, pki: pki.value }) : store;
}

async function makeFirst(resources: Resources): Promise<void> {
  const first: readonly (readonly [Kind, readonly object[]])[] = [
    [eraseKind(namespaceKind), FIRST_NAMESPACES.map((name) => ({ metadata: { name } }))],
    [eraseKind(clusterRoleKind), FIRST_ROLES],
    [eraseKind(clusterRoleBindingKind), [FIRST_BINDING]],
  ];
  const context = { user: SYSTEM_USER, manager: undefined, dryRun: false, fieldValidation: "Strict" } as const;
  // What is there already is left as it is.
  for (const [kind, objects] of first) {
    for (const object of objects) await resources.create(kind, undefined, object, context);
  }
}

/** Events are news, not state: each is forgotten after a while. */
function sweepEvents(store: Store, clock: Clock): () => void {
  const collection = collectionOf(eraseKind(eventKind));
  const sweep = (): void => {
    const oldestMs = clock.wallMs() - EVENT_AGE_MAX_MS;
    for (const event of store.list(collection)) {
      const seen = Reflect.get(event, "lastTimestamp") ?? event.metadata.creationTimestamp;
      if (Date.parse(String(seen)) < oldestMs) store.remove(collection, event);
    }
    timer = clock.after(EVENT_SWEEP_INTERVAL_MS, sweep);
  };
  let timer = clock.after(EVENT_SWEEP_INTERVAL_MS, sweep);
  return () => timer.cancel();
}
