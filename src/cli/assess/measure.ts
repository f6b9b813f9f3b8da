// What a call through two sidecars costs on this machine: an origin, two proxies with mutual TLS between them, and
// requests that go now through them and now past them.

import { type ChildProcess, spawn } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Cost } from "../../assess/assess.ts";
import {
  LOAD_CONNECTIONS,
  LOAD_MS,
  MEASURE_START_MS,
  MEASURED_REQUESTS,
  MEASURED_SPACING_MS,
  WARM_UP_REQUESTS,
} from "../../assess/limits.ts";
import { systemClock } from "../../base/clock.ts";
import { openAuthority } from "../../ca/authority.ts";
import { proxyCommand } from "../../cluster/proxy-command.ts";
import { generateKey, privateKeyToPem } from "../../identity/key.ts";
import { PROXY_ENVIRONMENT } from "../../node/prepare.ts";
import { CommandFailure } from "../command.ts";
import { asFailure } from "../data-dir.ts";

const CLIENT = "spiffe://cluster.local/ns/assess/sa/client";
const SERVER = "spiffe://cluster.local/ns/assess/sa/server";
const TYPE = "type.googleapis.com/envoy.extensions";
/** The kernel counts CPU time in hundredths. */
const TICK_SECONDS = 0.01;
const BODY = "x".repeat(1_024);

export async function measureCost(): Promise<Cost> {
  const found = await proxyCommand(resolve(process.argv[1] ?? ""));
  if (!found.ok) throw asFailure(found.error);
  const folder = mkdtempSync(join(tmpdir(), "weft-assess-"));
  const children: ChildProcess[] = [];
  // In a process of its own: its work is not the sidecars'.
  const [originPort = 0, outboundPort = 0, inboundPort = 0] = await freePorts(3);
  try {
    const identities = await makeIdentities(folder);
    const origin = `require("http").createServer((q,s)=>{q.resume();s.end(${JSON.stringify(BODY)})}).listen(${originPort},"127.0.0.1")`;
    children.push(spawn(process.execPath, ["-e", origin], { stdio: "ignore" }));
    const inbound = hop({ port: inboundPort, upstreamPort: originPort, listenTls: serverTls(identities) });
    const outbound = hop({ port: outboundPort, upstreamPort: inboundPort, upstreamTls: clientTls(identities) });
    const sidecars = [inbound, outbound].map((bootstrap, index) => {
      const file = join(folder, `${index}.json`);
      writeFileSync(file, JSON.stringify(bootstrap));
      const [program = process.execPath, ...words] = found.value;
      const env = { ...PROXY_ENVIRONMENT, ...process.env };
      return spawn(program, [...words, "proxy", "-c", file, "-l", "error"], { stdio: "ignore", env });
    });
    children.push(...sidecars);
    const agent = new http.Agent({ keepAlive: true, maxSockets: LOAD_CONNECTIONS });
    const client = { agent, direct: originPort, through: outboundPort };
    await answers(client);
    const latency = await measureLatency(client);
    const load = await measureLoad(client, sidecars);
    agent.destroy();
    return { isMeasured: true, ...latency, ...load };
  } finally {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Client {
  readonly agent: http.Agent;
  readonly direct: number;
  readonly through: number;
}

/** Milliseconds; fails where there was no answer of the origin. */
function get(port: number, agent: http.Agent): Promise<number> {
  const started = performance.now();
  return new Promise((done, failed) => {
    const request = http.get({ host: "127.0.0.1", port, agent, path: "/", headers: { host: "server" } }, (response) => {
      response.resume();
      response.once("error", failed);
      response.once("end", () => {
        if (response.statusCode === 200) done(performance.now() - started);
        else failed(new Error(`answer ${response.statusCode}`));
      });
    });
    request.once("error", failed);
  });
}

async function answers({ agent, through }: Client): Promise<void> {
  const deadline = performance.now() + MEASURE_START_MS;
  for (;;) {
    const failure = await get(through, agent).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    if (failure === undefined) return;
    if (performance.now() > deadline) {
      throw new CommandFailure(`the sidecars that are to be measured do not answer: ${failure}`, {
        next: "Leave --measure out, or look whether a firewall forbids connections on 127.0.0.1.",
      });
    }
    await pause(100);
  }
}

/** Now the one, now the other, so that both see the same machine. */
async function measureLatency({ agent, direct, through }: Client) {
  for (let count = 0; count < WARM_UP_REQUESTS; count += 1) {
    await get(through, agent);
    if (count % 3 === 0) await get(direct, agent);
  }
  const past: number[] = [];
  const via: number[] = [];
  for (let count = 0; count < MEASURED_REQUESTS; count += 1) {
    past.push(await get(direct, agent));
    via.push(await get(through, agent));
    await pause(MEASURED_SPACING_MS);
  }
  const at = (all: readonly number[], share: number): number =>
    all.toSorted((a, b) => a - b)[Math.floor(all.length * share)] ?? 0;
  const [directP50Ms, directP99Ms] = [at(past, 0.5), at(past, 0.99)];
  return {
    directP50Ms,
    directP99Ms,
    addedP50Ms: Math.max(0, at(via, 0.5) - directP50Ms),
    addedP99Ms: Math.max(0, at(via, 0.99) - directP99Ms),
  };
}

async function measureLoad({ agent, through }: Client, sidecars: readonly ChildProcess[]) {
  const before = sum(sidecars.map(cpuSeconds));
  const until = performance.now() + LOAD_MS;
  let requests = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < until) {
      await get(through, agent);
      requests += 1;
    }
  };
  await Promise.all(Array.from({ length: LOAD_CONNECTIONS }, worker));
  const spent = sum(sidecars.map(cpuSeconds)) - before;
  const memory = sidecars.map(privateMb);
  return {
    cpuSecondsPerThousand: requests === 0 ? undefined : (spent * 1_000) / requests,
    memoryMbPerPod: sum(memory) / Math.max(1, memory.length),
  };
}

function cpuSeconds({ pid }: ChildProcess): number {
  const [, rest = ""] = readProc(pid, "stat").split(") ");
  const fields = rest.split(" ");
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_SECONDS;
}

function privateMb({ pid }: ChildProcess): number {
  const found = readProc(pid, "smaps_rollup").matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB/gm);
  return sum(Array.from(found, ([, kilobytes]) => Number(kilobytes))) / 1024;
}

function readProc(pid: number | undefined, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    throw new CommandFailure("CPU time and memory are read from /proc, which is not here", {
      next: "Measure on Linux, or leave --measure out.",
    });
  }
}

function sum(all: readonly number[]): number {
  return all.reduce((total, each) => total + each, 0);
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((done) => {
          server.listen(0, "127.0.0.1", () => {
            const bound = server.address();
            done(typeof bound === "object" && bound !== null ? bound.port : 0);
          });
        }),
    ),
  );
  for (const server of servers) server.close();
  return ports;
}

interface Identities {
  readonly root: string;
  readonly client: { readonly chain: string; readonly key: string };
  readonly server: { readonly chain: string; readonly key: string };
}

async function makeIdentities(folder: string): Promise<Identities> {
  const directory = join(folder, "pki");
  const authority = await openAuthority({ directory, trustDomain: "cluster.local", clock: systemClock });
  if (!authority.ok) throw new CommandFailure(authority.error);
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const issue = async (name: string, id: string) => {
    const key = generateKey();
    const publicKeyDer = Uint8Array.from(createPublicKey(key).export({ type: "spki", format: "der" }));
    const names = [{ type: "url", value: id }] as const;
    const chain = await authority.value.sign({ publicKeyDer, names, lifetimeMs: 3_600_000 });
    return { chain: write(`${name}.pem`, chain), key: write(`${name}-key.pem`, privateKeyToPem(key)) };
  };
  const root = write("root.pem", authority.value.rootPem);
  return { root, client: await issue("client", CLIENT), server: await issue("server", SERVER) };
}

function serverTls({ root, server }: Identities): object {
  return {
    name: "envoy.transport_sockets.tls",
    typedConfig: {
      "@type": `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
      requireClientCertificate: true,
      commonTlsContext: commonTls(root, server, CLIENT),
    },
  };
}

function clientTls({ root, client }: Identities): object {
  return {
    name: "envoy.transport_sockets.tls",
    typedConfig: {
      "@type": `${TYPE}.transport_sockets.tls.v3.UpstreamTlsContext`,
      sni: "server",
      commonTlsContext: commonTls(root, client, SERVER),
    },
  };
}

function commonTls(root: string, own: { readonly chain: string; readonly key: string }, peer: string): object {
  return {
    tlsCertificates: [{ certificateChain: { filename: own.chain }, privateKey: { filename: own.key } }],
    validationContext: {
      trustedCa: { filename: root },
      matchTypedSubjectAltNames: [{ sanType: "URI", matcher: { exact: peer } }],
    },
  };
}

/** One sidecar: a listener, what a mesh puts into it, and where it leads. */
function hop(options: {
  readonly port: number;
  readonly upstreamPort: number;
  readonly listenTls?: object;
  readonly upstreamTls?: object;
}): object {
  const router = { name: "router", typedConfig: { "@type": `${TYPE}.filters.http.router.v3.Router` } };
  const policies = {
    all: { permissions: [{ any: true }], principals: [{ authenticated: { principalName: { exact: CLIENT } } }] },
  };
  const access = {
    name: "rbac",
    typedConfig: { "@type": `${TYPE}.filters.http.rbac.v3.RBAC`, rules: { action: "ALLOW", policies } },
  };
  const manager = {
    "@type": `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: "assess",
    routeConfig: {
      name: "all",
      virtualHosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "next" } }] }],
    },
    httpFilters: [...(options.listenTls === undefined ? [] : [access]), router],
  };
  const filters = [{ name: "http", typedConfig: manager }];
  const tls = options.listenTls === undefined ? {} : { transportSocket: options.listenTls };
  const socket = options.upstreamTls === undefined ? {} : { transportSocket: options.upstreamTls };
  return {
    // Who it is, so that it counts as a sidecar of a mesh does.
    node: { id: "assess", metadata: { WORKLOAD_NAME: "assess", NAMESPACE: "assess" } },
    staticResources: {
      listeners: [{ name: "in", address: local(options.port), filterChains: [{ filters, ...tls }] }],
      clusters: [
        {
          name: "next",
          type: "STATIC",
          connectTimeout: "1s",
          ...socket,
          loadAssignment: {
            clusterName: "next",
            endpoints: [{ lbEndpoints: [{ endpoint: { address: local(options.upstreamPort) } }] }],
          },
        },
      ],
    },
  };
}

function local(port: number): object {
  return { socketAddress: { address: "127.0.0.1", portValue: port } };
}
