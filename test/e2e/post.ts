// Takes the post apart: its manifests, unmodified, and its kubectl commands, from the text as it was published.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isRecord, parseYamlDocuments } from "../../src/base/json.ts";

export interface Manifest {
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | undefined;
  /** The text between its first and last line, as it stands in the post. */
  readonly yaml: string;
  /** 1-based, in the post. */
  readonly line: number;
}

export interface Post {
  readonly manifests: readonly Manifest[];
  /** Every kubectl and istioctl command, continuation lines joined, comment signs taken away. */
  readonly commands: readonly string[];
}

const DEFAULT_SEED = fileURLToPath(new URL("../../../shared/seed", import.meta.url));

/** The post of WEFT_SEED's folder, or why there is none. */
export function readPost(): { readonly post: Post } | { readonly absent: string } {
  const folder = process.env["WEFT_SEED"] ?? DEFAULT_SEED;
  try {
    const name = readdirSync(folder).find((file) => file.endsWith(".txt"));
    if (name === undefined) return { absent: `no text of the post in ${folder}; set WEFT_SEED` };
    return { post: parsePost(readFileSync(join(folder, name), "utf8")) };
  } catch (error) {
    return { absent: `the post is not there (${error instanceof Error ? error.message : error}); set WEFT_SEED` };
  }
}

export function parsePost(text: string): Post {
  const lines = text.split(/\r?\n/);
  return { manifests: readManifests(lines), commands: readCommands(lines) };
}

/** A document goes on while a line is blank, indented or a top-level key: not over `---`, a heading, a command. */
const IN_DOCUMENT = /^(\s*$|\s|[A-Za-z]+:(\s|$))/;

function readManifests(lines: readonly string[]): readonly Manifest[] {
  const found: Manifest[] = [];
  for (let first = 0; first < lines.length; first += 1) {
    if (!(lines[first] ?? "").startsWith("apiVersion:")) continue;
    let next = first + 1;
    while (next < lines.length && IN_DOCUMENT.test(lines[next] ?? "") && !(lines[next] ?? "").startsWith("apiVersion:"))
      next += 1;
    const yaml = `${lines.slice(first, next).join("\n").trimEnd()}\n`;
    found.push({ ...identify(yaml, first + 1), yaml, line: first + 1 });
    first = next - 1;
  }
  return found;
}

function identify(yaml: string, line: number): Pick<Manifest, "kind" | "name" | "namespace"> {
  const parsed = parseYamlDocuments(yaml);
  const value = parsed.ok ? parsed.value[0]?.value : undefined;
  if (!isRecord(value) || !isRecord(value["metadata"])) throw new Error(`the post's line ${line} begins no manifest`);
  const { name, namespace } = value["metadata"];
  return {
    kind: String(value["kind"]),
    name: String(name),
    namespace: namespace === undefined ? undefined : String(namespace),
  };
}

function readCommands(lines: readonly string[]): readonly string[] {
  const found: string[] = [];
  const bare = lines.map((line) => line.replace(/^# ?/, ""));
  for (let at = 0; at < bare.length; at += 1) {
    if (!/^(kubectl|istioctl) [a-z]/.test(bare[at] ?? "")) continue;
    let command = (bare[at] ?? "").trimEnd();
    while (command.endsWith("\\") && at + 1 < bare.length) {
      at += 1;
      command = `${command.slice(0, -1).trimEnd()} ${(bare[at] ?? "").trim()}`;
    }
    found.push(command);
  }
  return found;
}
