// Compiles what an installed package runs: dist/ mirrors src/, file by file, and the proxy is one bundle,
// because a sidecar's memory and start-up are paid once a pod.
// Plain JavaScript, so that it runs under any Node >= 20.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const dist = path.join(root, "dist");
const require = createRequire(import.meta.url);

fs.rmSync(dist, { recursive: true, force: true });
step("generate", [path.join(root, "scripts/generate-proto.js")]);
step("compile", [
  path.join(path.dirname(require.resolve("typescript/package.json")), "bin/tsc"),
  "-p",
  "tsconfig.build.json",
]);
if (!fs.existsSync(path.join(dist, "main.js"))) fail("the compiler wrote no dist/main.js");
// The bundle is made from the sources, as a checkout makes it.
const { bundleProxy } = await import("./bundle-proxy.js");
fs.copyFileSync(await bundleProxy(), path.join(dist, "proxy.js"));
const { buildDashboard } = await import("./build-dashboard.js");
fs.cpSync(await buildDashboard(), path.join(dist, "dashboard"), { recursive: true });
console.log(`dist/: ${fs.readdirSync(dist, { recursive: true }).length} files`);

function step(name, args) {
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  if (result.status !== 0) fail(`${name} failed with exit code ${result.status}`);
}

function fail(message) {
  console.error(`build: ${message}`);
  process.exit(1);
}
