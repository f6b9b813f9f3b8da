// Takes the pictures of the page that the documentation shows: a demo of its own, a browser of the machine, PNG files.
// `npm run docs:pictures`. Plain JavaScript.

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const images = path.join(root, "docs/images");
const main = path.join(root, "src/main.ts");
const BYTES_MAX = 150_000;
/** Enough for the figures of half a minute. */
const TRAFFIC_MS = 35_000;

const PICTURES = [
  { file: "dashboard-graph.png", address: "#/graph", colorScheme: "light" },
  { file: "dashboard-service.png", address: "#/graph/shop/api", colorScheme: "dark" },
  { file: "dashboard-metrics.png", address: "#/metrics/shop/api", colorScheme: "light" },
];

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "weft-pictures-"));
const dataDir = path.join(folder, "demo");
const demo = spawn(process.execPath, [main, "demo", "--data-dir", dataDir], { stdio: ["ignore", "pipe", "inherit"] });
try {
  await answered(demo);
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 760 } });
  const page = await context.newPage();
  await page.goto(weft("dashboard"));
  await page.getByRole("navigation").waitFor();
  await page.waitForTimeout(TRAFFIC_MS);
  fs.mkdirSync(images, { recursive: true });
  for (const { file, address, colorScheme } of PICTURES) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(`location.hash = ${JSON.stringify(address)}`);
    await page.waitForTimeout(3_000);
    const target = path.join(images, file);
    const { length } = await page.screenshot({ path: target });
    if (length > BYTES_MAX) throw new Error(`${target} has ${length} bytes, more than ${BYTES_MAX}`);
    console.log(`${target}: ${length} bytes`);
  }
  await browser.close();
} finally {
  const ended = new Promise((resolve) => demo.once("exit", resolve));
  demo.kill();
  await ended;
  fs.rmSync(folder, { recursive: true, force: true });
}

function answered(child) {
  return new Promise((resolve, reject) => {
    child.stdout.on("data", (chunk) => {
      if (chunk.toString().includes("first answer")) resolve();
    });
    child.once("exit", (code) => reject(new Error(`the demo ended with ${code}`)));
  });
}

function weft(command) {
  return execFileSync(process.execPath, [main, command, "--data-dir", dataDir], { encoding: "utf8" }).trim();
}

function chromiumPath() {
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    for (const place of (process.env.PATH ?? "").split(path.delimiter)) {
      if (fs.existsSync(path.join(place, name))) return path.join(place, name);
    }
  }
  throw new Error("chromium is needed: apt-get install chromium");
}
