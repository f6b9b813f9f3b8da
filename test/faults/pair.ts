// Two proxies with mTLS between them, as sidecars are, with certificates that can be swapped while they serve.

import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openAuthority } from "../../src/ca/authority.ts";
import { generateKey, privateKeyToPem } from "../../src/identity/key.ts";
import { Registry } from "../../src/observe/metrics.ts";
import { Bootstrap } from "../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { fromEnvoyJson } from "../../src/proto/json.ts";
import { type RunningProxy, startProxy } from "../../src/proxy/run/proxy.ts";
import type { SecretSource, SecretValue } from "../../src/proxy/socket/secret.ts";

type Json = Readonly<Record<string, unknown>>;

const EXTENSIONS = "type.googleapis.com/envoy.extensions";
const SERVER_ID = "spiffe://cluster.local/ns/production/sa/api";
const CLIENT_ID = "spiffe://cluster.local/ns/production/sa/frontend";
const LIFETIME_MS = 3_600_000;

class Secrets implements SecretSource {
  readonly #values = new Map<string, SecretValue>();
  readonly #runs = new Map<string, (() => void)[]>();

  get(name: string): SecretValue | undefined {
    return this.#values.get(name);
  }

  onChange(name: string, run: () => void): () => void {
    this.#runs.set(name, [...(this.#runs.get(name) ?? []), run]);
    return () => undefined;
  }

  set(name: string, value: SecretValue): void {
    this.#values.set(name, value);
    for (const run of this.#runs.get(name) ?? []) run();
  }
}

interface Side {
  readonly proxy: RunningProxy;
  readonly registry: Registry;
}

export interface Pair {
  /** Where plain HTTP is taken. */
  readonly port: number;
  readonly outbound: Side;
  readonly inbound: Side;
  /** New keys and certificates on both sides. */
  rotate(): Promise<void>;
  close(): void;
}

export async function startPair(origin: number): Promise<Pair> {
  const directory = mkdtempSync(join(tmpdir(), "weft-pair-"));
  const authority = await openAuthority({ directory, trustDomain: "cluster.local", clock: systemClock });
  assert.ok(authority.ok, authority.ok ? "" : authority.error);
  const secrets = { client: new Secrets(), server: new Secrets() };
  const issue = async (spiffeId: string): Promise<SecretValue> => {
    const key = generateKey();
    const publicKeyDer = Uint8Array.from(createPublicKey(key).export({ type: "spki", format: "der" }));
    const names = [{ type: "url", value: spiffeId }] as const;
    const chain = await authority.value.sign({ publicKeyDer, names, lifetimeMs: LIFETIME_MS });
    return { kind: "certificate", certificateChainPem: chain, privateKeyPem: privateKeyToPem(key) };
  };
  const rotate = async () => {
    secrets.client.set("default", await issue(CLIENT_ID));
    secrets.server.set("default", await issue(SERVER_ID));
  };
  for (const one of [secrets.client, secrets.server])
    one.set("ROOTCA", { kind: "trust", bundlePem: authority.value.rootPem, crlPem: undefined });
  await rotate();
  const server = tls("DownstreamTlsContext", { requireClientCertificate: true, commonTlsContext: common(CLIENT_ID) });
  const client = tls("UpstreamTlsContext", { sni: "api", commonTlsContext: common(SERVER_ID) });
  const inbound = await startSide(listener(server), cluster(origin, {}), secrets.server);
  const target = cluster(inbound.proxy.port("main"), { transportSocket: client });
  const outbound = await startSide(listener(undefined), target, secrets.client);
  return {
    port: outbound.proxy.port("main"),
    outbound,
    inbound,
    rotate,
    close() {
      outbound.proxy.close();
      inbound.proxy.close();
      rmSync(directory, { recursive: true });
    },
  };
}

async function startSide(listenerJson: Json, clusterJson: Json, localSecrets: SecretSource): Promise<Side> {
  const json = { staticResources: { listeners: [listenerJson], clusters: [clusterJson] } };
  const bootstrap = fromEnvoyJson(Bootstrap, JSON.parse(JSON.stringify(json)));
  assert.ok(bootstrap.ok, bootstrap.ok ? "" : bootstrap.error.join("\n"));
  const registry = new Registry();
  const around = { source: undefined, localSecrets, clock: systemClock, random: seededRandom(3), registry };
  const proxy = startProxy({ bootstrap: bootstrap.value, ...around });
  await proxy.ready;
  return { proxy, registry };
}

function common(peer: string): Json {
  return {
    tlsCertificateSdsSecretConfigs: [{ name: "default" }],
    combinedValidationContext: {
      defaultValidationContext: { matchTypedSubjectAltNames: [{ sanType: "URI", matcher: { exact: peer } }] },
      validationContextSdsSecretConfig: { name: "ROOTCA" },
    },
  };
}

function tls(name: string, context: Json): Json {
  return {
    name: "envoy.transport_sockets.tls",
    typedConfig: { "@type": `${EXTENSIONS}.transport_sockets.tls.v3.${name}`, ...context },
  };
}

function listener(transportSocket: Json | undefined): Json {
  const route = { match: { prefix: "/" }, route: { cluster: "a", timeout: "30s" } };
  const manager = {
    "@type": `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: "test",
    routeConfig: { name: "r", virtualHosts: [{ name: "all", domains: ["*"], routes: [route] }] },
    httpFilters: [
      { name: "envoy.filters.http.router", typedConfig: { "@type": `${EXTENSIONS}.filters.http.router.v3.Router` } },
    ],
  };
  const filters = [{ name: "envoy.filters.network.http_connection_manager", typedConfig: manager }];
  const chain = transportSocket === undefined ? { filters } : { filters, transportSocket };
  return { name: "main", address: address(0), filterChains: [chain] };
}

function cluster(port: number, more: Json): Json {
  const lbEndpoints = [{ endpoint: { address: address(port) } }];
  const loadAssignment = { clusterName: "a", endpoints: [{ lbEndpoints }] };
  return { name: "a", type: "STATIC", connectTimeout: "5s", loadAssignment, ...more };
}

function address(portValue: number): Json {
  return { socketAddress: { address: "127.0.0.1", portValue } };
}
