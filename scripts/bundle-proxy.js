// Bundles the proxy's process into one file, because a sidecar's start-up and memory are paid once a pod:
// unbundled, the same sources take several times as long to load. Cached by the hash of what went in.
// Plain JavaScript, so that it runs under any Node >= 20.

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const cache = path.join(root, ".cache");
const entry = path.join(root, "src/sidecar/main.ts");

// Some dependencies are CommonJS and ask for Node's own modules by require.
const BANNER = `import { createRequire as __createRequire } from "node:module";
const require = __createRequire(import.meta.url);`;

/** The bundle's path; made when the sources have changed since it was made last. */
export async function bundleProxy() {
  const target = path.join(cache, `proxy-${hashSources()}.js`);
  if (fs.existsSync(target)) return target;
  fs.mkdirSync(cache, { recursive: true });
  const { build } = await import("esbuild");
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
    keepNames: false,
    legalComments: "none",
    logLevel: "warning",
  });
  fs.renameSync(partial, target);
  forgetOlder(target);
  return target;
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
function forgetOlder(kept) {
  const bundles = fs
    .readdirSync(cache)
    .filter((name) => /^proxy-[0-9a-f]+\.js$/.test(name))
    .map((name) => path.join(cache, name))
    .filter((file) => file !== kept)
    .sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs);
  for (const file of bundles.slice(4)) fs.rmSync(file, { force: true });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  console.log(await bundleProxy());
}
