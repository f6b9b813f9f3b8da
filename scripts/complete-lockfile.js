// Completes package-lock.json: an optional platform package that the registry in use did not offer when the lock
// was made is missing from it, and npm 11 then refuses `npm ci`. Run it after a change of dependencies.
// Plain JavaScript, so that it runs under any Node >= 20.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const OS_WORDS = ["aix", "android", "darwin", "freebsd", "linux", "openbsd", "netbsd", "openharmony", "sunos", "win32"];
const CPU_WORDS = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64", "wasm32"];
const LIBC_WORDS = { gnu: "glibc", gnueabihf: "glibc", musl: "musl", musleabihf: "musl" };

const lockFile = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), "package-lock.json");
const lock = JSON.parse(fs.readFileSync(lockFile, "utf8"));
const added = complete(lock.packages);
fs.writeFileSync(lockFile, `${JSON.stringify(lock, undefined, 2)}\n`);
console.log(added.length === 0 ? "package-lock.json is complete" : `added to package-lock.json:\n${added.join("\n")}`);

function complete(packages) {
  const names = [];
  for (const [where, entry] of Object.entries(packages)) {
    for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
      if (isResolved(packages, where, name)) continue;
      if (!/^\d+\.\d+\.\d+/.test(range)) {
        throw new Error(`${where} wants ${name}@${range}: only an exact version can be completed`);
      }
      packages[`node_modules/${name}`] = platformEntry(name, range, entry);
      names.push(`  ${name}@${range}`);
    }
  }
  const sorted = Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key] of sorted) delete packages[key];
  Object.assign(packages, Object.fromEntries(sorted));
  return names;
}

// As Node looks for a package: beside the asker, then outwards.
function isResolved(packages, where, name) {
  for (let at = where; ; at = at.slice(0, Math.max(0, at.lastIndexOf("node_modules/") - 1))) {
    if (packages[`${at}${at === "" ? "" : "/"}node_modules/${name}`] !== undefined) return true;
    if (at === "") return false;
  }
}

// `os` and `cpu` keep npm from asking for a package that is for another machine.
function platformEntry(name, version, parent) {
  const words = name.replace("armv7", "arm").split(/[/-]/);
  const entry = { version };
  const cpu = CPU_WORDS.find((word) => words.includes(word));
  const libc = words.map((word) => LIBC_WORDS[word]).find((word) => word !== undefined);
  const system = OS_WORDS.find((word) => words.includes(word));
  if (cpu !== undefined) entry.cpu = [cpu];
  if (parent.dev === true) entry.dev = true;
  if (libc !== undefined) entry.libc = [libc];
  if (parent.license !== undefined) entry.license = parent.license;
  entry.optional = true;
  if (system !== undefined) entry.os = [system];
  return entry;
}
