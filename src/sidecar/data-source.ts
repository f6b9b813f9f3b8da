// Files and variables that a bootstrap names instead of holding their text: read before anything is compiled, so that
// whatever can't be read is said by its place in the bootstrap.

import { readText } from "../agent/read-text.ts";
import { isRecord } from "../base/json.ts";
import { err, type Result } from "../base/result.ts";

export interface DataSourceReaders {
  readonly env: Readonly<Record<string, string | undefined>>;
}

interface Walk {
  readonly readers: DataSourceReaders;
  readonly issues: string[];
}

/** The document with every `filename` and `environment_variable` data source replaced by what it holds; files of certificates are only tried. */
export function readDataSources(document: unknown, readers: DataSourceReaders): Result<unknown, readonly string[]> {
  const walk: Walk = { readers, issues: [] };
  const value = visit(document, "", walk);
  return walk.issues.length > 0 ? err(walk.issues) : { ok: true, value };
}

function visit(value: unknown, path: string, walk: Walk): unknown {
  if (Array.isArray(value)) return value.map((item: unknown, index) => visit(item, `${path}[${index}]`, walk));
  if (!isRecord(value)) return value;
  const source = sourceOf(value);
  if (source !== undefined) {
    const read = source.read(walk.readers);
    if (read.ok) return source.field === "filename" && WATCHED.test(path) ? value : { inlineString: read.value };
    walk.issues.push(`${path}.${source.field}: ${read.error}`);
    return value;
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, visit(inner, path === "" ? key : `${path}.${key}`, walk)]),
  );
}

/** Whoever uses certificates reads their files, and again when they change. */
const WATCHED = /\.(certificate_chain|certificateChain|private_key|privateKey|trusted_ca|trustedCa|crl)$/;

interface Source {
  readonly field: string;
  read(readers: DataSourceReaders): Result<string, string>;
}

/** A message whose only field is one of these two is a DataSource; `watched_directory` may stand beside a file. */
function sourceOf(value: Readonly<Record<string, unknown>>): Source | undefined {
  const keys = Object.keys(value).filter((key) => key !== "watched_directory" && key !== "watchedDirectory");
  const [key] = keys;
  if (keys.length !== 1 || key === undefined) return undefined;
  const given = value[key];
  if (typeof given !== "string") return undefined;
  if (key === "filename") {
    return {
      field: "filename",
      read: () => {
        const read = readText(given);
        return read.ok ? read : err(`can't be read: ${read.error}. Next: check that the file is there and readable`);
      },
    };
  }
  if (key !== "environment_variable" && key !== "environmentVariable") return undefined;
  return {
    field: "environment_variable",
    read: ({ env }) => {
      const text = env[given];
      return text === undefined ? err(`the environment variable ${given} is not set`) : { ok: true, value: text };
    },
  };
}
