// Bundles the proxy's process into one file, because a sidecar's start-up and memory are paid once a pod:
// unbundled, the same sources take several times as long to load. Cached by the hash of what went in.
// Plain JavaScript, so that it runs under any Node >= 20.

import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const entry = path.join(root, "src/sidecar/main.ts");

// Some dependencies are CommonJS and ask for Node's own modules by require.
const BANNER = `import { createRequire as __createRequire } from "node:module";
const require = __createRequire(import.meta.url);`;

/**
 * The bundle's path; made when the sources have changed since it was made last. A checkout of somebody else can't be
 * written: then it lies in the user's own cache, or in the folder that is spare. `readable` keeps the names, for profiles.
 */
export async function bundleProxy(spare, { readable = false } = {}) {
  const name = `proxy-${hashSources()}${readable ? ".readable" : ""}.js`;
  const own = path.join(root, ".cache");
  if (fs.existsSync(path.join(own, name))) return path.join(own, name);
  const cache = writableFolder([own, ...ownCaches(spare)]);
  const target = path.join(cache, name);
  if (fs.existsSync(target)) return target;
  const { build, stop } = await import("esbuild");
  const partial = `${target}.${process.pid}.partial`;
  await build({
    entryPoints: [entry],
    outfile: partial,
    bundle: true,
    platform: "node",
    target: "node26",
    format: "esm",
    banner: { js: BANNER },
    external: ["koffi"],
    plugins: [lazyBuiltins],
    minifySyntax: true,
    minifyWhitespace: true,
    // Each sidecar holds the text of its program in memory; a profile wants to be read.
    minifyIdentifiers: !readable,
    legalComments: "none",
    logLevel: "warning",
  });
  // Its service would hold a hundred megabytes as long as this process lives.
  await stop();
  fs.renameSync(partial, target);
  forgetOlder(cache, target);
  return target;
}

export function ownCaches(spare) {
  const base = process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache");
  const checkout = createHash("sha256").update(root).digest("hex").slice(0, 12);
  return [path.join(base, "weft", checkout), ...(spare === undefined ? [] : [spare])];
}

/** The first that can be made and written; the refusal of the first one where none can. */
export function writableFolder(folders) {
  let refusal;
  for (const folder of folders) {
    try {
      fs.mkdirSync(folder, { recursive: true });
      fs.accessSync(folder, fs.constants.W_OK);
      if (path.dirname(folder) !== root) linkModules(folder);
      return folder;
    } catch (error) {
      refusal ??= error;
    }
  }
  throw refusal;
}

/** What stays outside the bundle is looked for beside it. */
function linkModules(folder) {
  const link = path.join(folder, "node_modules");
  fs.rmSync(link, { force: true });
  fs.symlinkSync(path.join(root, "node_modules"), link, "dir");
}

// An ES import of node:http reads every export, those too that load an HTTP client of several megabytes; asking the
// process for the module does not.
const LAZY_BUILTINS = /^node:(crypto|fs|http|http2|https|net|tls)$/;

const lazyBuiltins = {
  name: "lazy-builtins",
  setup(build) {
    build.onResolve({ filter: LAZY_BUILTINS }, ({ kind, path: name }) =>
      kind === "import-statement" || kind === "dynamic-import" ? { path: name, namespace: "builtin" } : undefined,
    );
    build.onLoad({ filter: LAZY_BUILTINS, namespace: "builtin" }, ({ path: name }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(name)});`,
    }));
  },
};

/** Only names, sizes and times of the sources: reading 3 MB of generated code would cost more than it saves. */
function hashSources() {
  const hash = createHash("sha256");
  for (const file of [fileURLToPath(import.meta.url), path.join(root, "package-lock.json")])
    hash.update(fs.readFileSync(file));
  const folder = path.join(root, "src");
  for (const name of fs.readdirSync(folder, { recursive: true }).sort()) {
    if (!name.endsWith(".ts")) continue;
    const stat = fs.statSync(path.join(folder, name));
    hash.update(`${name} ${stat.size} ${stat.mtimeMs}\n`);
  }
  return hash.digest("hex").slice(0, 16);
}

/** A few older bundles stay: a process that was started from one may import from it later. */
function forgetOlder(cache, kept) {
  const bundles = fs
    .readdirSync(cache)
    .filter((name) => /^proxy-[0-9a-f]+(\.readable)?\.js$/.test(name))
    .map((name) => path.join(cache, name))
    .filter((file) => file !== kept)
    .sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs);
  for (const file of bundles.slice(4)) fs.rmSync(file, { force: true });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  console.log(await bundleProxy(undefined, { readable: process.argv.includes("--readable") }));
}
