// Runs the tests under node:test: one line a file, every failure in full, every skip with its reason, totals last.
//   node scripts/run-tests.js unit|system [--long] [PART OF A PATH]…
// --long: fuzzers and the soak run for an hour rather than for what CI has time for.
// Plain JavaScript, so that it can say something helpful under a Node that is too old to run the sources.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { run } from "node:test";
import { fileURLToPath } from "node:url";
import { inspect, styleText } from "node:util";

const NODE_MAJOR_MIN = 26;
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

// A system test starts whole clusters and measures time: they run one after the other.
const LADDER = {
  unit: {
    folders: ["test/unit", "test/tidy"],
    concurrency: os.availableParallelism(),
    timeoutMs: process.argv.includes("--long") ? 6_000_000 : 180_000,
  },
  system: {
    folders: ["test/system", "test/e2e"],
    concurrency: 1,
    timeoutMs: process.argv.includes("--long") ? 6_000_000 : 1_500_000,
  },
};

// What .ci/run installs. There, a test that skips because one of these is absent has failed.
const TOOLS_OF_CI = ["kubectl", "promtool", "openssl", "curl", "nft", "ip", "unshare", "nsenter", "ps", "envoy", "wrk"];
const SAYS_ABSENT =
  /\b(missing|absent|not installed|not found|not on (the )?PATH|no such|unavailable|needs?|without)\b/i;

if (process.argv.includes("--long")) process.env.WEFT_LONG = "1";
main(
  process.argv[2] ?? "",
  process.argv.slice(3).filter((argument) => argument !== "--long"),
);

function main(step, filters) {
  const rung = LADDER[step];
  if (rung === undefined) {
    quit(`run-tests: say which tests: ${Object.keys(LADDER).join(" or ")}`);
    return;
  }
  if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR_MIN) {
    quit(
      `run-tests: this is Node ${process.versions.node}; the tests need ${NODE_MAJOR_MIN}. After "npm ci", use "npm test", which brings its own.`,
    );
    return;
  }
  const files = rung.folders.flatMap((folder) => testFiles(path.join(root, folder)));
  const chosen = files.filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)));
  if (chosen.length === 0) {
    quit(`run-tests: no test file of ${rung.folders.join(", ")} matches ${filters.join(" ")}`);
    return;
  }
  const envoy = path.join(root, "bench/envoy/envoy/_bin/envoy");
  if (fs.existsSync(envoy)) process.env.WEFT_ENVOY ??= envoy;
  process.env.PATH = [path.join(root, ".tools/bin"), path.join(root, "node_modules/.bin"), process.env.PATH].join(
    path.delimiter,
  );
  follow(chosen, rung);
}

function follow(files, rung) {
  const seen = new Map();
  const total = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] };
  const startedMs = performance.now();
  const stream = run({ files, concurrency: rung.concurrency, timeout: rung.timeoutMs, cwd: root });
  stream.on("test:pass", (data) => note(data, "passed"));
  stream.on("test:fail", (data) => note(data, "failed"));
  stream.on("test:stderr", ({ message }) => process.stderr.write(message));
  stream.on("test:stdout", ({ message }) => process.stdout.write(message));
  stream.on("test:summary", (data) => {
    if (data.file !== undefined) reportFile(data, seen.get(data.file));
  });
  stream.on("error", (error) => quit(`run-tests: ${error.message}`));
  stream.on("end", () => finish(total, performance.now() - startedMs));
  stream.resume();

  function note(data, how) {
    if (data.details.type === "suite" && how === "passed" && data.skip === undefined) return;
    const count = seen.get(data.file) ?? { passed: 0, failed: 0, skipped: 0 };
    seen.set(data.file, count);
    // A known difference with its reason: expected to fail, and shown like what was left out.
    if (how === "failed" && typeof data.todo === "string") {
      note({ ...data, skip: data.todo, todo: undefined, details: { ...data.details, error: undefined } }, "skipped");
      return;
    }
    const outcome = data.skip === undefined ? how : judgeSkip(data.skip);
    // A test that failed only because one within it did has been counted there.
    const isEcho = outcome === "failed" && data.details.error?.failureType === "subtestsFailed";
    if (isEcho) return;
    count[outcome] += 1;
    total[outcome] += 1;
    if (outcome === "failed") total.failures.push(data);
    else if (outcome === "skipped") total.skips.push(data);
  }
}

function judgeSkip(reason) {
  if (process.env.CI === undefined || typeof reason !== "string") return "skipped";
  const named = TOOLS_OF_CI.some((tool) => new RegExp(`\\b${tool}\\b`).test(reason));
  return named && SAYS_ABSENT.test(reason) ? "failed" : "skipped";
}

function reportFile(summary, count) {
  const { passed, failed, skipped } = count ?? { passed: 0, failed: summary.success ? 0 : 1, skipped: 0 };
  const mark =
    failed > 0
      ? styleText("red", "fail")
      : passed === 0 && skipped > 0
        ? styleText("yellow", "skip")
        : styleText("green", "ok  ");
  const parts = [`${passed} passed`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (skipped > 0) parts.push(`${skipped} skipped`);
  console.log(`${mark} ${path.relative(root, summary.file)}  ${parts.join(", ")}  ${seconds(summary.duration_ms)}`);
}

function finish(total, durationMs) {
  for (const { name, file, line, skip } of total.skips) {
    console.log(
      `${styleText("yellow", "skipped")} ${where(file, line)} ${name}${typeof skip === "string" ? `: ${skip}` : ""}`,
    );
  }
  for (const { name, file, line, skip, details } of total.failures) {
    console.log(`\n${styleText("red", "failed")} ${where(file, line)} ${name}`);
    console.log(
      skip === undefined ? explain(details.error) : `  skipped in CI, which installs what it asks for: ${skip}`,
    );
  }
  console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped (${seconds(durationMs)})`);
  process.exitCode = total.failed > 0 || total.passed + total.skipped === 0 ? 1 : 0;
}

function explain(error) {
  const cause = error?.cause ?? error;
  const text = typeof cause === "object" && cause !== null && "stack" in cause ? inspect(cause) : String(cause);
  return text.replace(/^/gm, "  ");
}

function where(file, line) {
  return file === undefined ? "" : `${path.relative(root, file)}${line === undefined ? "" : `:${line}`}`;
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

function testFiles(folder) {
  if (!fs.existsSync(folder)) return [];
  const names = fs.readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map((name) => path.join(folder, name));
}

function quit(message) {
  console.error(message);
  process.exitCode = 2;
}
