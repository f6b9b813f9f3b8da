// Runs inside the namespaces that the launcher made: drives the provider and writes what it saw to a file, one JSON
// object, for the test outside to judge.

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { inheritedSocket } from "../../../src/cluster/launch/launch.ts";
import { prepareNodeNamespace } from "../../../src/cluster/launch/prepare.ts";
import type { ProcessRequest, ResourceLimits, Sandbox, SandboxProcess } from "../../../src/node/sandbox.ts";
import { startTransparentProvider, transparentDefaults } from "../../../src/node/transparent/provider.ts";

const [directory = "", mode = ""] = process.argv.slice(2);
const here = dirname(new URL(import.meta.url).pathname);
const none: ResourceLimits = { cpuMillis: undefined, memoryBytes: undefined };
const seen: Record<string, unknown> = {};
const texts: Record<string, string | undefined> = {};
const ends: Record<string, unknown> = {};

const APP = `
const http = require("node:http"), dgram = require("node:dgram");
http.createServer((q, r) => r.end(require("node:os").hostname() + " " + q.socket.remoteAddress)).listen(8080, "0.0.0.0", () => console.log("ready"));
http.createServer((q, r) => r.end("loopback " + q.socket.localAddress)).listen(8081, "127.0.0.1");
const u = dgram.createSocket("udp4"); u.on("message", (m, from) => u.send(from.address, from.port, from.address)); u.bind(9000);
process.on("SIGTERM", () => { console.log("term"); process.exit(7); });`;

// A question for partner.example.com with its length before it; the answer ends with the address.
const OVER_TCP = `
const labels = "partner.example.com".split(".").map((l) => String.fromCharCode(l.length) + l).join("");
const query = Buffer.from("\\0\\x07\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0" + labels + "\\0\\0\\x01\\0\\x01", "latin1");
const socket = require("node:net").connect(53, "10.96.0.10");
socket.write(Buffer.concat([Buffer.from([0, query.length]), query]));
socket.once("data", (bytes) => { console.log([...bytes.subarray(-4)].join(".")); socket.destroy(); });
socket.on("error", (e) => console.log(e.code));`;

await prepareNodeNamespace();
const fd = inheritedSocket("api");
const api = createServer((_request, response) => response.end("inherited"));
api.listen({ fd });

const provider = await startTransparentProvider({
  ...transparentDefaults,
  dataDirectory: directory,
  runDirectory: join(directory, "run"),
  upstreamSocketFd: inheritedSocket("dns"),
  warn: (message) => console.error(message),
});
mkdirSync(join(directory, "token"), { recursive: true });
writeFileSync(join(directory, "token", "istio-token"), "secret");
if (mode === "hold") await hold();
else await drive();

async function hold(): Promise<void> {
  const pod = await makePod("held", true);
  await ready(pod.start(request_("app", ["node", "-e", APP]), none));
  writeFileSync(join(directory, "holding"), String(process.pid));
  process.on("SIGTERM", () => {
    void provider.close().then(() => {
      writeFileSync(join(directory, "graceful"), "");
      process.exit(3);
    });
  });
  await delay(60_000);
}

async function drive(): Promise<void> {
  const before = leftovers();
  const startedMs = performance.now();
  const [a, b, plain] = [await makePod("a", true), await makePod("b", true), await makePod("plain", false)];
  seen["createMs"] = Math.round((performance.now() - startedMs) / 3);
  const logs: Record<string, string[]> = { a: [], b: [] };
  for (const [pod, name] of [
    [a, "a"],
    [b, "b"],
  ] as const) {
    const proxy = pod.start(
      proxyRequest(name === "b" ? { INBOUND_SOURCE: "127.0.0.6" } : { OUTBOUND_SOURCE: "" }),
      none,
    );
    await ready(proxy, logs[name]);
    await ready(pod.start(request_("app", ["node", "-e", APP]), none));
  }
  const plainApp = plain.start(request_("app", ["node", "-e", APP]), none);
  await ready(plainApp);
  provider.setServices([
    service("b", "10.96.0.20", b.podIP),
    service("a", "10.96.0.21", a.podIP),
    service("plain", "10.96.0.22", plain.podIP),
    {
      namespace: "prod",
      name: "empty",
      clusterIP: "10.96.0.23",
      ports: [{ port: 80, protocol: "TCP", endpoints: [] }],
      addresses: [],
    },
    { namespace: "prod", name: "headless", clusterIP: "None", ports: [], addresses: [a.podIP, b.podIP] },
  ]);
  await delay(200);
  seen["ips"] = { a: a.podIP, b: b.podIP, plain: plain.podIP, node: provider.nodeIP };
  // One original destination is a service's, the other a pod's.
  texts["toPod"] = await run(a, "app", fetchScript(`http://${b.podIP}:8080`));
  texts["toService"] = await run(a, "app", fetchScript("http://b:80"));
  seen["logs"] = logs;
  const logLines = logs["a"]?.length;
  texts["sidecarTool"] = await run(a, "istio-proxy", fetchScript("http://plain.prod:80"));
  seen["sidecarToolCaptured"] = logs["a"]?.length !== logLines;
  texts["ownAddress"] = await run(a, "app", fetchScript(`http://${a.podIP}:8080`));
  texts["ownService"] = await run(a, "app", fetchScript("http://a.prod:80"));
  texts["selfCall"] = await run(a, "istio-proxy", [
    "node",
    "-e",
    `require("node:http").get({ host: "${a.podIP}", port: 8080, localAddress: "127.0.0.7" }, (r) => r.on("data", (d) => console.log(String(d))))`,
  ]);
  texts["selfCallLog"] = logs["a"]?.at(-1);
  texts["ownLoopback"] = await run(a, "istio-proxy", fetchScript("http://127.0.0.1:8081"));
  texts["admin"] = await run(a, "app", fetchScript("http://localhost:15000"));
  texts["plainToPlain"] = await run(plain, "app", fetchScript("http://plain.prod:80"));
  texts["plainToMesh"] = await run(plain, "app", fetchScript("http://b.prod.svc.cluster.local:80"));
  texts["emptyService"] = await run(plain, "app", fetchScript("http://empty:80"));
  texts["probe"] = await get(`http://${b.podIP}:8080/`);
  texts["probe15021"] = await get(`http://${b.podIP}:15021/`);
  texts["nodeToService"] = await get("http://10.96.0.22:80/");
  texts["bLog"] = logs["b"]?.at(-1);
  texts["getent"] = await run(plain, "app", ["getent", "hosts", "b"]);
  texts["headless"] = await run(plain, "app", [
    "node",
    "-e",
    `require("node:dns").lookup("headless.prod", { all: true, family: 4 }, (e, r) => console.log(r.map((x) => x.address).sort().join()))`,
  ]);
  await askNames();
  texts["udp"] = await run(a, "app", [
    "node",
    "-e",
    `const u = require("node:dgram").createSocket("udp4"); u.on("message", (m) => { console.log(String(m)); u.close(); }); u.send("x", 9000, "${plain.podIP}")`,
  ]);
  texts["ping"] = await run(a, "app", [
    "sh",
    "-c",
    `command -v ping >/dev/null || { echo none; exit; }; ping -c1 -W2 ${b.podIP} >/dev/null && echo ok`,
  ]);
  await files(a);
  await signals(plain, plainApp);
  texts["restarted"] = await restart(plain);
  ends["memory"] = await memory(plain);
  texts["limits"] = provider.limitsNote;
  seen["orphans"] = await orphans(plain);
  await Promise.all([a.destroy(), b.destroy(), plain.destroy()]);
  seen["left"] = { before, after: leftovers() };
  await provider.close();
  writeFileSync(join(directory, "seen.json"), JSON.stringify({ ...seen, texts, ends }));
  process.exit(0);
}

async function files(pod: Sandbox): Promise<void> {
  texts["mount"] = await run(pod, "istio-proxy", ["cat", "/var/run/secrets/tokens/istio-token"]);
  await run(pod, "istio-proxy", ["sh", "-c", "mkdir -p /etc/certs/out && echo chain > /etc/certs/out/cert-chain.pem"]);
  texts["written"] = await run(pod, "istio-proxy", ["cat", "/etc/certs/out/cert-chain.pem"]);
  texts["writtenElsewhere"] = await run(pod, "app", [
    "sh",
    "-c",
    "cat /etc/certs/out/cert-chain.pem 2>/dev/null || echo none",
  ]);
  texts["hostname"] = await run(pod, "app", ["cat", "/etc/hostname"]);
  ends["execCode"] = await status(pod.exec(request_("app", ["sh", "-c", "exit 3"])));
  ends["execSignal"] = await status(pod.exec(request_("app", ["sh", "-c", "kill -9 $$"])));
  ends["execNothing"] = await status(pod.exec(request_("absent", ["true"])));
  ends["execMissing"] = await status(pod.exec(request_("app", ["/no/such/command"])));
  const cat = pod.exec(request_("app", ["cat"]));
  cat.stdin.end("through");
  texts["stdin"] = await output(cat);
}

async function signals(pod: Sandbox, app: SandboxProcess): Promise<void> {
  const child = pod.exec(request_("app", ["sh", "-c", "sleep 100 & wait"]));
  await delay(100);
  child.kill("SIGTERM");
  ends["execTerm"] = await status(child);
  const sleeper = pod.exec(request_("app", ["sleep", "100"]));
  await delay(100);
  app.kill("SIGTERM");
  ends["appTerm"] = await status(app);
  // With its main process, the container ends, and what exec started in it.
  ends["sleeperEnd"] = await status(sleeper);
}

async function restart(pod: Sandbox): Promise<string> {
  return await output(pod.start(request_("app", ["echo", "again"]), none));
}

async function memory(pod: Sandbox): Promise<unknown> {
  const eater = pod.start(request_("app", ["node", "-e", "const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1))"]), {
    cpuMillis: 1000,
    memoryBytes: 100 * 1024 * 1024,
  });
  const timer = setTimeout(() => eater.kill("SIGKILL"), 3000);
  const end = await status(eater);
  clearTimeout(timer);
  return end;
}

/** A process whose parent is gone is reaped when it ends: no zombie stays. */
async function orphans(pod: Sandbox): Promise<number> {
  const holder = pod.start(request_("app", ["sleep", "30"]), none);
  await run(pod, "app", ["sh", "-c", "(sleep 0.1 &) ; (sleep 0.1 &)"]);
  await delay(400);
  const zombies = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isZombie(name));
  holder.kill("SIGKILL");
  await holder.exited;
  return zombies.length;
}

function isZombie(pid: string): boolean {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Everything that a pod may leave: links, mounts, files, processes and their namespaces, groups. */
function leftovers(): Record<string, unknown> {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return {
    links: execFileSync("ip", ["-o", "link"], { encoding: "utf8" }).trim().split("\n").length,
    routes: execFileSync("ip", ["route"], { encoding: "utf8" }).trim(),
    mounts: readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n").length,
    run: readdirSync(join(directory, "run")),
    namespaces: new Set(pids.map((pid) => link(`/proc/${pid}/ns/net`)).filter((target) => target !== "")).size,
    hairpin: (
      execFileSync("nft", ["list", "set", "ip", "weft", "hairpin"], { encoding: "utf8" }).match(/elements/g) ?? []
    ).length,
  };
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

async function makePod(name: string, intercepted: boolean, capturesDns = false): Promise<Sandbox> {
  const podDirectory = join(directory, name);
  mkdirSync(podDirectory, { recursive: true });
  return await provider.create({
    namespace: "prod",
    name,
    uid: name,
    proxyContainers: ["istio-proxy"],
    intercepted,
    capturesDns,
    directory: podDirectory,
  });
}

/** A pod whose proxy answers its questions: mesh names over UDP and TCP, the others by way of the node. */
async function askNames(): Promise<void> {
  const pod = await makePod("named", true, true);
  await ready(pod.start(proxyRequest({ DNS: "true" }), none));
  await ready(pod.start(request_("app", ["node", "-e", APP]), none));
  const lookup = (name: string) =>
    `require("node:dns").lookup("${name}", { family: 4 }, (e, ip) => console.log(e === null ? ip : e.code))`;
  texts["namedPartner"] = await run(pod, "app", ["node", "-e", lookup("partner.example.com")]);
  texts["namedService"] = await run(pod, "app", ["node", "-e", lookup("b")]);
  texts["unnamedPartner"] = await run(pod, "istio-proxy", ["node", "-e", lookup("partner.example.com")]);
  texts["namedOverTcp"] = await run(pod, "app", ["node", "-e", OVER_TCP]);
  await pod.destroy();
}

function service(name: string, clusterIP: string, ip: string) {
  return {
    namespace: "prod",
    name,
    clusterIP,
    ports: [{ port: 80, protocol: "TCP" as const, endpoints: [{ ip, port: 8080 }] }],
    addresses: [],
  };
}

function request_(container: string, argv: readonly string[], env: Record<string, string> = {}): ProcessRequest {
  const path = `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
  return {
    container,
    argv,
    env: { PATH: path, HOME: "/tmp", ...env },
    workingDirectory: undefined,
    mounts: [{ source: join(directory, "token"), target: "/var/run/secrets/tokens", readOnly: true }],
  };
}

function proxyRequest(env: Record<string, string>): ProcessRequest {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  return request_("istio-proxy", ["node", join(here, "standin-proxy.ts")], set);
}

function fetchScript(url: string): string[] {
  return [
    "node",
    "-e",
    `fetch("${url}", { signal: AbortSignal.timeout(3000) }).then((r) => r.text()).then((t) => console.log(t), (e) => console.log(e.cause?.code ?? String(e)))`,
  ];
}

async function run(pod: Sandbox, container: string, argv: readonly string[]): Promise<string> {
  return await output(pod.exec(request_(container, argv)));
}

async function output(child: SandboxProcess): Promise<string> {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
  await child.exited;
  return text.trim();
}

async function status(child: SandboxProcess): Promise<unknown> {
  child.stdout.resume();
  child.stderr.resume();
  return await child.exited;
}

function ready(child: SandboxProcess, lines: string[] = []): Promise<void> {
  child.stderr.on("data", (chunk) => console.error(String(chunk)));
  return new Promise((resolve) => {
    child.stdout.on("data", (chunk) => {
      for (const line of String(chunk).trim().split("\n")) line === "ready" ? resolve() : lines.push(line);
    });
    void child.exited.then(() => resolve());
  });
}

function get(url: string): Promise<string> {
  return new Promise((resolve) => {
    const call = request(url, { timeout: 3000 }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += String(chunk)));
      response.on("end", () => resolve(text));
    });
    call.on("timeout", () => call.destroy(new Error("timeout")));
    call.on("error", (error) => resolve(error.message));
    call.end();
  });
}
