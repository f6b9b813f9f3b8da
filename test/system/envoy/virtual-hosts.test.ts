// Envoy takes the virtual hosts of a port's routes one by one over the stream of differences, also after a reconnect.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { systemClock } from "../../../src/base/clock.ts";
import { isRecord } from "../../../src/base/json.ts";
import { ok } from "../../../src/base/result.ts";
import { MeshState } from "../../../src/control/mesh-state.ts";
import { readManifests } from "../../../src/ingest/file.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { DiscoveryServer } from "../../../src/serve/server.ts";
import { until } from "../../unit/control/mesh.ts";
import { freePorts } from "../../walk/origin.ts";
import { adsBootstrap } from "./bootstrap.ts";
import { type RunningEnvoy, skipWithoutEnvoy, startEnvoy } from "./envoy.ts";

const service = (name: string, address: string) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: production}
spec: {clusterIP: ${address}, ports: [{name: http, port: 8080}]}
---`;
const manifests = (timeout: string, more = "") => `${service("api", "10.96.0.7")}${service("web", "10.96.0.8")}${more}
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: DISABLE}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: production}
spec: {hosts: [api], http: [{timeout: ${timeout}, route: [{destination: {host: api}}]}]}
`;

const NODE = { id: "sidecar~10.0.0.9~frontend-1.production~production.svc.cluster.local", cluster: "test" };
const API = "8080/api.production.svc.cluster.local:8080";
const WEB = "8080/web.production.svc.cluster.local:8080";
const NEW = "8080/new.production.svc.cluster.local:8080";

describe("virtual hosts by themselves, on Envoy", { skip: skipWithoutEnvoy() }, () => {
  const directory = mkdtempSync(join(tmpdir(), "weft-vhds-"));
  const state = new MeshState({ ...defaultMeshConfig, enableAutoMtls: false });
  let sent: string[] = [];
  const discovery = new DiscoveryServer({
    clock: systemClock,
    configure: (proxy) => state.configure(proxy),
    events: { onPush: (type) => sent.push(type), log: (_level, message) => sent.push(message) },
  });
  let discoveryPort = 0;
  let adminPort = 0;
  let server: grpc.Server | undefined;
  let envoy: RunningEnvoy | undefined;

  const serve = async (): Promise<void> => {
    server = new grpc.Server();
    discovery.register(server, () => Promise.resolve(ok(undefined)));
    const bound = Promise.withResolvers<void>();
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync(`127.0.0.1:${discoveryPort}`, credentials, (error) => {
      if (error === null) bound.resolve();
      else bound.reject(error);
    });
    await bound.promise;
  };
  const apply = (text: string): void => {
    const read = readManifests(text);
    assert.ok(read.ok, read.ok ? "" : read.error);
    sent = [];
    state.replace(read.value.resources);
    discovery.notify();
  };
  /** Name to the timeout of the first route, as Envoy runs them. */
  const running = async (): Promise<Readonly<Record<string, string>>> => {
    const dump: unknown = await (
      await fetch(`http://127.0.0.1:${adminPort}/config_dump?resource=dynamic_route_configs`)
    ).json();
    const [config] = records(isRecord(dump) ? dump["configs"] : []);
    const routes = config?.["route_config"];
    const hosts = records(isRecord(routes) ? routes["virtual_hosts"] : []);
    return Object.fromEntries(hosts.map(({ name, routes: list }) => [String(name), timeoutOf(records(list)[0])]));
  };
  const runs = (expected: Readonly<Record<string, string>>): Promise<void> =>
    until(
      `Envoy runs ${JSON.stringify(expected)}`,
      async () => {
        const actual = await running().catch(() => ({}));
        return JSON.stringify(Object.entries(actual).sort()) === JSON.stringify(Object.entries(expected).sort());
      },
      20_000,
    );

  before(async () => {
    [discoveryPort = 0, adminPort = 0] = await freePorts(2);
    apply(manifests("1s"));
    await serve();
    envoy = await startEnvoy(directory, adsBootstrap(NODE, discoveryPort, adminPort), adminPort);
  });
  after(() => {
    envoy?.kill();
    server?.forceShutdown();
    discovery.close();
    rmSync(directory, { recursive: true });
  });

  it("runs them together with what takes the rest", async () => {
    await runs({ allow_any: "0s", [API]: "1s", [WEB]: "0s" });
    assert.deepEqual([...new Set(sent)].sort(), ["cluster", "endpoint", "listener", "route", "virtualHost"]);
  });

  it("is sent the one that changed", async () => {
    apply(manifests("2s"));
    await runs({ allow_any: "0s", [API]: "2s", [WEB]: "0s" });
    assert.deepEqual(sent, ["virtualHost"]);
  });

  it("takes a new one, and lets it go", async () => {
    apply(manifests("2s", service("new", "10.96.0.9")));
    await runs({ allow_any: "0s", [API]: "2s", [WEB]: "0s", [NEW]: "0s" });
    apply(manifests("2s"));
    await runs({ allow_any: "0s", [API]: "2s", [WEB]: "0s" });
  });

  it("is sent only what changed after a reconnect", async () => {
    server?.forceShutdown();
    await until("the stream is over", () => discovery.connections().length === 0);
    apply(manifests("3s"));
    await serve();
    await runs({ allow_any: "0s", [API]: "3s", [WEB]: "0s" });
    assert.deepEqual(sent, ["virtualHost"]);
  });
});

function records(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function timeoutOf(route: Readonly<Record<string, unknown>> | undefined): string {
  const action = route?.["route"];
  return isRecord(action) ? String(action["timeout"]) : "";
}
