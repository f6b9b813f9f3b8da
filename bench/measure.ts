// One run: start, wait until it serves, load, read what the kernel says of the process, stop.

import http from "node:http";
import https from "node:https";
import net from "node:net";
import { openCgroups } from "../src/node/transparent/cgroup.ts";
import type { CaseOptions } from "./bootstrap.ts";
import type { BenchCase, Rate, Work } from "./cases.ts";
import { type CertificateFiles, SERVER_NAME } from "./certificates.ts";
import type { Figures } from "./figures.ts";
import { cpuSeconds, type Memory, memory, type Pinning } from "./kernel.ts";
import type { LoadProcess } from "./load/process.ts";
import { runWrk } from "./load/wrk.ts";
import { type Contender, type Started, start } from "./proxies.ts";

export interface Rig {
  readonly work: string;
  readonly pinned: Pinning;
  readonly load: LoadProcess;
  /** The origin of saturating load. */
  readonly originPort: number;
  readonly certificates: CertificateFiles;
  readonly seconds: number;
  /** The fixed rates that are measured. */
  readonly rates: readonly Rate[];
}

const READY_TIMEOUT_MS = 15_000;
const SMALL = "/api/1k";
const WARM_HANDSHAKES = 1500;
const WARM_TRIES = 12;
/** The post's proxy resources. */
const HELD = { cpuMillis: 200, memoryBytes: 100 * 1024 * 1024 };

interface Running {
  readonly rig: Rig;
  readonly options: CaseOptions;
  readonly pid: number;
  readonly alive: () => boolean;
}

/** Undefined: this contender can't do the case. */
export async function measure(entry: BenchCase, contender: Contender, rig: Rig): Promise<Figures | undefined> {
  const options = await optionsFor(entry, rig);
  const command = contender.command(entry, options);
  if (command === undefined) return undefined;
  const held = entry.work.kind === "held" ? await holdBack(rig.work) : undefined;
  const startedMs = performance.now();
  const started = start(rig.work, [...(held?.prefix ?? []), ...rig.pinned.proxy, ...command], contender.environment);
  try {
    await untilServing(entry, options, started);
    const readyMs = performance.now() - startedMs;
    const pid = started.child.pid ?? 0;
    const idle = memory(pid);
    const alive = () => started.child.exitCode === null && started.child.signalCode === null;
    const figures = await putLoadOn(entry.work, { rig, options, pid, alive });
    return { readyMs, ...memoryFigures(idle, memory(pid)), ...figures };
  } finally {
    await started.stop();
    await held?.remove();
  }
}

/** What the same load takes without a proxy, from client to origin. */
export async function measureDirect(entry: BenchCase, rig: Rig): Promise<Figures> {
  return entry.work.kind === "rates" ? atRates(rig, rig.load.ports.httpPort, entry.work.connections) : {};
}

async function optionsFor(entry: BenchCase, rig: Rig): Promise<CaseOptions> {
  const [frontPort, middlePort, adminPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const { httpPort, bulkPort } = rig.load.ports;
  const { kind } = entry.work;
  const originPort = kind === "bulk" ? bulkPort : kind === "saturate" || kind === "held" ? rig.originPort : httpPort;
  return { frontPort, middlePort, adminPort, originPort, certificates: rig.certificates };
}

function putLoadOn(work: Work, running: Running): Promise<Figures> {
  switch (work.kind) {
    case "saturate":
      return saturated(work, running);
    case "held":
      return heldBack(work, running);
    case "rates":
      return atRates(running.rig, running.options.frontPort, work.connections);
    case "handshakes":
      return handshakes(work, running);
    case "bulk":
      return bulk(work, running);
  }
}

async function saturated(work: Extract<Work, { kind: "saturate" }>, running: Running): Promise<Figures> {
  const { rig, options, pid } = running;
  const request = {
    pinned: rig.pinned.load,
    url: `http://127.0.0.1:${options.frontPort}${work.path}`,
    connections: work.connections,
  };
  await runWrk({ ...request, seconds: rig.seconds / 4 });
  const before = cpuSeconds(pid);
  const result = await runWrk({ ...request, seconds: rig.seconds });
  const spentSeconds = cpuSeconds(pid) - before;
  return {
    cpuMicrosPerRequest: (spentSeconds * 1e6) / Math.max(1, result.requests),
    requestsPerSecond: result.requestsPerSecond,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    failures: result.refused + result.socketErrors,
  };
}

/** Under the post's limits: what is served, what is refused with a status, and whether it lives. */
async function heldBack(work: Extract<Work, { kind: "held" }>, running: Running): Promise<Figures> {
  const { rig, options, alive } = running;
  const url = `http://127.0.0.1:${options.frontPort}${SMALL}`;
  const seconds = Math.max(4, rig.seconds);
  const result = await runWrk({ pinned: rig.pinned.load, url, connections: work.connections, seconds });
  return {
    requestsPerSecond: (result.requests - result.refused) / seconds,
    shedPerSecond: result.refused / seconds,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    failures: result.socketErrors,
    survived: alive() ? 1 : 0,
  };
}

async function atRates(rig: Rig, port: number, connections: number): Promise<Figures> {
  let figures: Figures = {};
  let failures = 0;
  for (const requestsPerSecond of rig.rates) {
    const command = { kind: "rate", port, path: SMALL, connections, requestsPerSecond, seconds: rig.seconds } as const;
    const answer = await rig.load.run(command);
    failures += answer.failures;
    figures = {
      ...figures,
      [`p50At${requestsPerSecond}Ms`]: answer.p50Ms,
      [`p99At${requestsPerSecond}Ms`]: answer.p99Ms,
    };
  }
  return { ...figures, failures };
}

/** What the proxy adds to the direct way, rate by rate. */
export function addedTo(direct: Figures, through: Figures): Figures {
  const added = [500, 1000, 5000].flatMap((rate) =>
    (["p50", "p99"] as const).flatMap((quantile) => {
      const metric = `${quantile}At${rate}Ms`;
      const [without, within] = [figureOf(direct, metric), figureOf(through, metric)];
      return without === undefined || within === undefined
        ? []
        : [[`${quantile}AddedAt${rate}Ms`, within - without] as const];
    }),
  );
  return { ...through, ...Object.fromEntries(added) };
}

function figureOf(figures: Figures, metric: string): number | undefined {
  return Object.entries(figures).find(([name]) => name === metric)?.[1];
}

async function handshakes(work: Extract<Work, { kind: "handshakes" }>, running: Running): Promise<Figures> {
  const { rig, options, pid } = running;
  const command = {
    kind: "handshakes",
    port: options.frontPort,
    path: SMALL,
    connections: 8,
    resume: work.resume,
    serverName: SERVER_NAME,
    chainFile: rig.certificates.client.chain,
    keyFile: rig.certificates.client.key,
  } as const;
  await warmUp(() => rig.load.run({ ...command, seconds: rig.seconds / 4 }));
  const before = cpuSeconds(pid);
  const answer = await rig.load.run({ ...command, seconds: rig.seconds });
  const spentSeconds = cpuSeconds(pid) - before;
  return {
    cpuMicrosPerHandshake: (spentSeconds * 1e6) / answer.done,
    handshakesPerSecond: answer.done / answer.tookSeconds,
    resumedShare: answer.resumed / answer.done,
    p50Ms: answer.p50Ms,
    p99Ms: answer.p99Ms,
    failures: answer.failures,
  };
}

/** A just-in-time compiler takes its time over what runs a few hundred times a second. */
async function warmUp(load: () => Promise<{ readonly done: number }>): Promise<void> {
  let made = 0;
  for (let tried = 0; tried < WARM_TRIES && made < WARM_HANDSHAKES; tried += 1) made += (await load()).done;
}

async function bulk(work: Extract<Work, { kind: "bulk" }>, running: Running): Promise<Figures> {
  const { rig, options, pid } = running;
  const before = cpuSeconds(pid);
  const startMs = performance.now();
  const answer = await rig.load.run({
    kind: "bulk",
    port: options.frontPort,
    connections: work.connections,
    seconds: rig.seconds,
  });
  // The bytes of the warm-up are not counted, but its CPU is: brought to the counted time.
  const share = answer.tookSeconds / ((performance.now() - startMs) / 1000);
  const spentSeconds = (cpuSeconds(pid) - before) * share;
  return {
    gbitPerSecond: (answer.done * 8) / answer.tookSeconds / 1e9,
    cpuMicrosPerMegabyte: (spentSeconds * 1e6) / (answer.done / 1e6),
    failures: answer.failures,
  };
}

function memoryFigures(idle: Memory, loaded: Memory): Figures {
  return {
    idlePrivateMb: idle.privateMb,
    loadedPrivateMb: loaded.privateMb,
    idleResidentMb: idle.residentMb,
    loadedResidentMb: loaded.residentMb,
  };
}

async function holdBack(
  work: string,
): Promise<{ readonly prefix: readonly string[]; remove(): Promise<void> } | undefined> {
  const tree = await openCgroups(work);
  const group = tree.create("held", HELD);
  if (group === undefined) return undefined;
  const enter = group.processFiles.map((file) => `echo 0 > '${file}'`).join("; ");
  return {
    prefix: ["/bin/sh", "-c", `${enter}; exec "$@"`, "sh"],
    remove: async () => {
      await group.remove();
      await tree.remove();
    },
  };
}

async function untilServing(entry: BenchCase, options: CaseOptions, started: Started): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadlineMs) {
    if (started.child.exitCode !== null)
      throw new Error(`ended with exit code ${started.child.exitCode} before it served:\n${started.log()}`);
    if (await serves(entry.work, options)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`no answer within ${READY_TIMEOUT_MS} ms:\n${started.log()}`);
}

function serves(work: Work, options: CaseOptions): Promise<boolean> {
  const address = { host: "127.0.0.1", port: options.frontPort };
  if (work.kind === "bulk") return firstByte(address);
  return new Promise((resolve) => {
    const path = work.kind === "saturate" ? work.path : SMALL;
    const onResponse = (response: http.IncomingMessage) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode === 200));
    };
    const request =
      work.kind === "handshakes"
        ? https.get({ ...address, path, agent: false, timeout: 1000, ...clientTls(options.certificates) }, onResponse)
        : http.get({ ...address, path, agent: false, timeout: 1000 }, onResponse);
    request.on("error", () => resolve(false));
  });
}

function firstByte(address: { readonly host: string; readonly port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(address);
    socket.once("data", () => {
      resolve(true);
      socket.destroy();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(false));
  });
}

function clientTls(files: CertificateFiles): https.RequestOptions {
  const { certPem, keyPem } = files.client;
  return { cert: certPem, key: keyPem, servername: SERVER_NAME, rejectUnauthorized: false };
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        address === null || typeof address === "string" ? reject(new Error("no port")) : resolve(address.port),
      );
    });
  });
}
