// Builds the page of `dashboard/` into static files: one script, one style sheet, one page that names them. Cached by
// the hash of what went in, in the folder where the proxy's bundle is.
// Plain JavaScript, so that it runs under any Node >= 20.

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ownCaches, writableFolder } from "./bundle-proxy.js";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const source = path.join(root, "dashboard");
const SHARED = path.join(root, "src/dashboard/shapes.ts");

/** The folder with the files; made when the sources have changed since it was made last. */
export async function buildDashboard(spare) {
  const name = `dashboard-${hashSources()}`;
  const own = path.join(root, ".cache");
  if (fs.existsSync(path.join(own, name))) return path.join(own, name);
  const cache = writableFolder([own, ...ownCaches(spare)]);
  const target = path.join(cache, name);
  if (fs.existsSync(target)) return target;
  const partial = `${target}.${process.pid}.partial`;
  await build(partial);
  try {
    fs.renameSync(partial, target);
  } catch (error) {
    // Somebody else built the same in the meantime.
    if (!fs.existsSync(target)) throw error;
    fs.rmSync(partial, { recursive: true });
  }
  forgetOlder(cache, target);
  return target;
}

async function build(folder) {
  const { build: bundle, stop } = await import("esbuild");
  const { metafile } = await bundle({
    entryPoints: [path.join(source, "src/main.tsx")],
    outdir: folder,
    entryNames: "[name]-[hash]",
    bundle: true,
    metafile: true,
    minify: true,
    format: "esm",
    target: ["es2023", "chrome120", "firefox121", "safari17.4"],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    logLevel: "warning",
  });
  await stop();
  const made = Object.keys(metafile.outputs).map((file) => path.basename(file));
  const named = (extension) => made.find((file) => file.endsWith(extension)) ?? fail(`no ${extension} was built`);
  const page = fs
    .readFileSync(path.join(source, "page.html"), "utf8")
    .replace("/main.js", `/${named(".js")}`)
    .replace("/main.css", `/${named(".css")}`);
  fs.writeFileSync(path.join(folder, "page.html"), page);
  fs.copyFileSync(path.join(source, "icon.svg"), path.join(folder, "icon.svg"));
}

function hashSources() {
  const hash = createHash("sha256");
  for (const file of [fileURLToPath(import.meta.url), path.join(root, "package-lock.json"), SHARED]) {
    hash.update(fs.readFileSync(file));
  }
  for (const name of fs.readdirSync(source, { recursive: true }).sort()) {
    const file = path.join(source, name);
    if (fs.statSync(file).isFile()) hash.update(`${name}\n`).update(fs.readFileSync(file));
  }
  return hash.digest("hex").slice(0, 16);
}

function forgetOlder(cache, kept) {
  const builds = fs
    .readdirSync(cache)
    .filter((name) => /^dashboard-[0-9a-f]+$/.test(name))
    .map((name) => path.join(cache, name))
    .filter((folder) => folder !== kept)
    .sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs);
  for (const folder of builds.slice(2)) fs.rmSync(folder, { recursive: true, force: true });
}

function fail(message) {
  throw new Error(message);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  console.log(await buildDashboard(process.argv[2]));
}
