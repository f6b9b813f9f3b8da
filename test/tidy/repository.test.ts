// The repository tests itself: what types, lint and format can't say about it.

import assert from "node:assert/strict";
import test from "node:test";
import { lineOf, readSource, readText, repositoryFiles, type Source } from "./source.ts";

const files = repositoryFiles();
const sources = files
  .filter((file) => /^(src|test|bench|scripts|bin|examples|dashboard)\/.*\.(tsx?|js)$/.test(file))
  .map(readSource);
const own = sources.filter(({ path }) => path.startsWith("src/"));

// --- Which files may do what their folder may not, each with its reason. ---

const PURE = [
  "api",
  "model",
  "translate",
  "inject",
  "analyze",
  "preview",
  "identity",
  "traffic",
  "canary",
  "assess",
  "proxy/compile",
  "proxy/route",
];
// Node's modules that only compute.
const PURE_MODULES = new Set(["node:assert/strict", "node:buffer", "node:crypto", "node:net", "node:util"]);

const MAY_CAST: Readonly<Record<string, string>> = {
  "src/api/kind.ts": "the registry holds kinds of every type and gives back each with its own",
  "src/api/validate.ts": "what the schema has checked is of the schema's type",
  "src/api/kubernetes/events-v1.ts": "a mapped type that no narrowing reaches",
  "src/apiserver/client.ts": "the store holds objects of every kind; the caller names the kind and so the type",
  "src/apiserver/store.ts": "rows of the database are objects that were checked when they were stored",
  "src/cluster/remote-client.ts": "the API server's answer to a typed question",
  "src/cluster/task.ts": "what one weft process writes for the next",
  "src/ingest/file.ts": "what the kind's validator has checked is of the kind's type",
  "src/model/destination.ts": "a merge of two values of one type, field by field",
};

const MAY_CATCH: Readonly<Record<string, string>> = {
  "src/identity/chain.ts": "the X.509 parser throws on what a peer sent",
  "src/identity/key.ts": "the X.509 parser throws on what a peer sent",
  "src/identity/csr.ts": "the X.509 parser throws on what a peer sent",
  "src/proxy/compile/matcher.ts": "the RE2 compiler throws on a pattern of the configuration",
};

// Types that two folders of one rank agree on: only `import type` may reach them sideways.
const SEAMS = new Set(["src/proxy/socket/secret.ts", "src/proxy/subscribe/source.ts", "src/proxy/admin/view.ts"]);

// The control plane meets the data plane on the wire alone; these start both.
const MEET_BOTH_PLANES = new Set(["sidecar", "cluster", "cli", "main.ts"]);

interface Ban {
  readonly name: string;
  readonly in: (path: string) => boolean;
  readonly pattern: RegExp;
  readonly instead: string;
}

const isPure = (path: string): boolean => PURE.some((folder) => path.startsWith(`src/${folder}/`));
const isOwn = (path: string): boolean => path.startsWith("src/") || path.startsWith("dashboard/");
const isTest = (path: string): boolean => path.startsWith("test/");

const CODE_BANS: readonly Ban[] = [
  {
    name: "JSON.parse outside base/json.ts",
    in: (path) => isOwn(path) && path !== "src/base/json.ts" && path !== "dashboard/src/live.ts",
    pattern: /\bJSON\.parse\b/,
    instead: "use parseJson, which gives unknown",
  },
  {
    name: "a cast",
    in: (path) => isOwn(path) && MAY_CAST[path] === undefined,
    pattern: /^(?!\s*(?:import|export)\b)(?!.*\bin keyof \w+ as\b).*[\w)\]}>"'`]\s+as\s+(?!const\b)[\w{[(]/,
    instead: "narrow it, or parse it; a file that can't is listed in MAY_CAST",
  },
  {
    name: "time, chance or the process in a pure folder",
    in: isPure,
    pattern: /\b(Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|performance\.now|process\.\w|console\.\w)/,
    instead: "take it as a value",
  },
  {
    name: "catch in a pure folder",
    in: (path) => isPure(path) && MAY_CATCH[path] === undefined,
    pattern: /\bcatch\b/,
    instead: "return a Result; a library that throws is wrapped in a file listed in MAY_CATCH",
  },
  {
    name: "a mock",
    in: isTest,
    pattern: /\bmock\.(fn|method|module|timers)\b/,
    instead: "a small real server, a VirtualClock, a seeded random",
  },
];

const COMMENT_BANS: readonly { readonly name: string; readonly pattern: RegExp }[] = [
  { name: "narrates the code", pattern: /^\W*(This (function|method|class|file)\b|Now we\b|Step \d|First,? we\b)/ },
  { name: "is code", pattern: /^\/\/\s*(const|let|var|if|for|while|return|import|export|await|function)\b.*[;{)]\s*$/ },
  { name: "is a to-do without an issue's number", pattern: /\b(TODO|FIXME|XXX|HACK)\b(?!.*#\d)/ },
  { name: "is a banner", pattern: /[\u{1F300}-\u{1FAFF}]|={6,}|\*{6,}/u },
];

const BANNED_PATH_WORDS = /(^|[/.-])(utils?|helpers?|common|misc|manager|index)(?=[/.-])/;

const FOREIGN_PLACES = [
  /(?<![\w.])\/(work|farm|home\/[a-z]+|Users\/[A-Za-z]+)\//,
  /https?:\/\/(registry|repo\d*|proxy|files|static)\./,
  /"resolved": "http/,
];

const LICENCES = new Set(
  "MIT ISC 0BSD BlueOak-1.0.0 Apache-2.0 BSD-2-Clause BSD-3-Clause Python-2.0 CC0-1.0 Unlicense".split(" "),
);

// --- The tests. ---

for (const ban of CODE_BANS) {
  test(`no file has ${ban.name}`, () => {
    const found = sources.filter(({ path }) => ban.in(path)).flatMap((source) => codeLines(source, ban.pattern));
    assert.deepEqual(found, [], ban.instead);
  });
}

for (const { name, pattern } of COMMENT_BANS) {
  test(`no comment ${name}`, () => {
    const found = sources.flatMap(({ path, comments }) =>
      comments
        .filter(({ text }) => pattern.test(text))
        .map(({ line, text }) => `${path}:${line}: ${text.slice(0, 100)}`),
    );
    assert.deepEqual(found, []);
  });
}

test("every source file begins by saying what it is", () => {
  const silent = own.filter(({ text }) => !/^(#!.*\n)?\/[/*]/.test(text)).map(({ path }) => path);
  assert.deepEqual(silent, []);
});

test("a path names what is there", () => {
  const vague = files.filter((file) => BANNED_PATH_WORDS.test(file) && /^(src|test|bench|scripts)\//.test(file));
  assert.deepEqual(vague, []);
});

test("a file imports only from lower ranks and from its own folder", () => {
  const ranks = readRanks(readText("ARCHITECTURE.md"));
  const wrong = own.flatMap((source) => upwardImports(source, ranks));
  assert.deepEqual(wrong, []);
});

test("a pure folder imports no module that acts", () => {
  const wrong = own
    .filter(({ path }) => isPure(path))
    .flatMap((source) =>
      imports(source)
        .filter((name) => name.startsWith("node:") && !PURE_MODULES.has(name))
        .map((name) => `${source.path}: ${name}`),
    );
  assert.deepEqual(wrong, []);
});

test("nothing names the machine that it was made on", () => {
  const found = files
    .filter((file) => !/\.(png|svg|db)$/.test(file) && file !== "test/tidy/repository.test.ts")
    .flatMap((file) =>
      FOREIGN_PLACES.filter((place) => place.test(readText(file))).map((place) => `${file}: ${place}`),
    );
  assert.deepEqual(found, []);
});

test("every golden output has its input", () => {
  const golden = files.filter((file) => file.startsWith("test/golden/"));
  const inputs = new Set(
    golden.filter((file) => /\.yaml$/.test(file)).map((file) => file.replace(/(\.in)?\.yaml$/, "")),
  );
  const orphans = golden.filter((file) => file.endsWith(".json") && !inputs.has(file.replace(/(\.out)?\.json$/, "")));
  assert.deepEqual(orphans, []);
});

test("every dependency has a reason in docs/dependencies.md and a permissive licence", () => {
  const packageText = readText("package.json");
  const documented = readText("docs/dependencies.md");
  const names = [...packageText.matchAll(/^ {4}"(@?[\w./-]+)": "\d[\w.-]*",?$/gm)].map((match) => match[1] ?? "");
  assert.ok(names.length > 15, "package.json's dependencies were found");
  assert.deepEqual(
    names.filter((name) => !documented.includes(`\`${name}\``)),
    [],
  );
  const licences = [...readText("package-lock.json").matchAll(/"license": "([^"]+)"/g)].map((match) => match[1] ?? "");
  assert.deepEqual(
    licences.filter((licence) => !isPermissive(licence)),
    [],
  );
});

// --- How it is found out. ---

function codeLines({ path, code, text }: Source, pattern: RegExp): readonly string[] {
  const lines = text.split("\n");
  return code
    .split("\n")
    .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${(lines[index] ?? "").trim()}`] : []));
}

function imports({ text, code }: Source): readonly string[] {
  const found = text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g);
  return [...found]
    .filter((match) => /\b(from|import)\b/.test(code.slice(match.index, match.index + 6)))
    .map((match) => match[1] ?? "");
}

/** An SPDX expression: one of its alternatives has only permissive parts. */
function isPermissive(expression: string): boolean {
  const alternatives = expression.replace(/[()]/g, "").split(" OR ");
  return alternatives.some((alternative) => alternative.split(" AND ").every((name) => LICENCES.has(name)));
}

/** The table of ARCHITECTURE.md; the proxy's row gives its inner folders. */
function readRanks(document: string): ReadonlyMap<string, number> {
  const ranks = new Map<string, number>();
  for (const [, rank, folder] of document.matchAll(/^\| (\d+) \| `([\w.]+)\/?` \|/gm))
    ranks.set(folder ?? "", Number(rank));
  const proxy = /^\| [\d–]+ \| `proxy\/` \|.*$/m.exec(document)?.[0] ?? "";
  for (const [, folders, rank] of proxy.matchAll(/`([\w/ ]+)` (\d)/g)) {
    for (const folder of (folders ?? "").split(" ")) ranks.set(`proxy/${folder.replace("/", "")}`, Number(rank));
  }
  // Beside the folders: the bounds that all of the data plane has.
  ranks.set("proxy", 3);
  assert.ok(ranks.size > 20, "ARCHITECTURE.md's table of ranks was found");
  return ranks;
}

function upwardImports(source: Source, ranks: ReadonlyMap<string, number>): readonly string[] {
  const from = folderOf(source.path);
  const rank = ranks.get(from);
  if (rank === undefined) return [`${source.path}: ${from} has no rank in ARCHITECTURE.md`];
  return imports(source).flatMap((name) => {
    if (!name.startsWith(".")) return [];
    const path = new URL(name, `file:///${source.path}`).pathname.slice(1);
    const target = folderOf(path);
    if (target === from) return [];
    const targetRank = ranks.get(target) ?? Number.POSITIVE_INFINITY;
    const isSeam = SEAMS.has(path) && new RegExp(`import type [^;]*"${name}"`).test(source.text);
    if (isSeam || (targetRank < rank && !crossesPlanes(from, target, targetRank))) return [];
    return [`${source.path}: ${name} (${target}, rank ${targetRank}) from rank ${rank}`];
  });
}

function crossesPlanes(from: string, target: string, targetRank: number): boolean {
  const isProxy = (folder: string): boolean => folder.startsWith("proxy");
  if (isProxy(from)) return !isProxy(target) && targetRank > 3;
  return isProxy(target) && !MEET_BOTH_PLANES.has(from);
}

function folderOf(path: string): string {
  const [, first = "", second = "", third] = path.split("/");
  return first === "proxy" && third !== undefined ? `proxy/${second}` : first;
}

test("the reader of sources tells code from comments and strings", () => {
  const source = readSource("test/tidy/source.ts");
  assert.equal(source.code.split("\n").length, source.text.split("\n").length);
  assert.ok(!source.code.includes("What the tidy tests look at"));
  assert.ok(!source.code.includes("ls-files"));
  assert.ok(source.code.includes("export function readSource"));
  assert.equal(lineOf("a\nb\nc", 4), 3);
});
