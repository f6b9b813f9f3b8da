// The image table: a name for a local command, kept in `images.yaml` of the data directory and read anew at every use.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { stringify } from "yaml";
import { isRecord, parseYamlDocuments } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { IMAGE_BYTES_MAX } from "./limits.ts";

export interface ImageCommand {
  /** What an image's ENTRYPOINT is: a container's `args` come after it. */
  readonly command: readonly string[];
  /** What an image's CMD is: a container's `args` replace it. */
  readonly args: readonly string[];
  /** Where the command runs, unless the container says otherwise. */
  readonly workingDirectory: string | undefined;
}

export interface NamedImage extends ImageCommand {
  readonly name: string;
}

export type Resolution =
  | { readonly kind: "command"; readonly command: ImageCommand }
  /** Runs the cluster's proxy: weft's own, or Envoy. */
  | { readonly kind: "proxy" }
  /** Runs Envoy with the agent beside it, whatever the cluster's proxy is. */
  | { readonly kind: "agent" }
  | { readonly kind: "unknown" }
  /** The table itself can't be read. */
  | { readonly kind: "broken"; readonly message: string };

/** Names that need no entry, whatever registry and tag: the mesh's proxy. */
const PROXY_IMAGE = /^(?:.*\/)?(?:weft\/proxy|istio\/proxyv2|proxyv2|auto)$/;
const AGENT_IMAGE = /^(?:.*\/)?weft\/agent$/;

export class ImageTable {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  resolve(image: string): Resolution {
    if (PROXY_IMAGE.test(withoutTag(image))) return { kind: "proxy" };
    if (AGENT_IMAGE.test(withoutTag(image))) return { kind: "agent" };
    const table = this.#read();
    if (!table.ok) return { kind: "broken", message: table.error };
    const found = table.value.get(image) ?? table.value.get(withoutTag(image));
    return found === undefined ? { kind: "unknown" } : { kind: "command", command: found };
  }

  list(): Result<readonly NamedImage[], string> {
    const table = this.#read();
    if (!table.ok) return table;
    return ok([...table.value].map(([name, command]) => ({ name, ...command })));
  }

  set(name: string, command: ImageCommand): Result<void, string> {
    if (name === "" || /\s/.test(name)) return err(`"${name}" is not an image name`);
    if (command.command.length === 0) return err(`no command given: weft image set ${name} -- COMMAND…`);
    return this.#change((table) => table.set(name, command));
  }

  /** False when the table has no such image. */
  delete(name: string): Result<boolean, string> {
    const table = this.#read();
    if (!table.ok) return table;
    if (!table.value.has(name)) return ok(false);
    const changed = this.#change((current) => current.delete(name));
    return changed.ok ? ok(true) : changed;
  }

  #change(change: (table: Map<string, ImageCommand>) => void): Result<void, string> {
    const table = this.#read();
    if (!table.ok) return table;
    change(table.value);
    const images = Object.fromEntries(
      [...table.value].map(([name, { command, args, workingDirectory }]) => [
        name,
        {
          command,
          ...(args.length === 0 ? {} : { args }),
          ...(workingDirectory === undefined ? {} : { workingDirectory }),
        },
      ]),
    );
    const temporary = `${this.path}.${process.pid}.tmp`;
    try {
      mkdirSync(dirname(this.path), { recursive: true });
      writeFileSync(temporary, stringify({ images }), { flush: true });
      renameSync(temporary, this.path);
      return ok(undefined);
    } catch (error) {
      return err(`cannot write ${this.path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #read(): Result<Map<string, ImageCommand>, string> {
    if (!existsSync(this.path)) return ok(new Map());
    try {
      const text = readFileSync(this.path, "utf8");
      if (text.length > IMAGE_BYTES_MAX) return err(`${this.path} is larger than ${IMAGE_BYTES_MAX} bytes`);
      const parsed = parseImages(text);
      return parsed.ok ? parsed : err(`${this.path}: ${parsed.error}`);
    } catch (error) {
      return err(`cannot read ${this.path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** `images:` maps a name to a list (the command) or to `command`, `args` and `workingDirectory`. */
export function parseImages(text: string): Result<Map<string, ImageCommand>, string> {
  const documents = parseYamlDocuments(text);
  if (!documents.ok) return documents;
  const table = new Map<string, ImageCommand>();
  for (const { value } of documents.value) {
    const images = isRecord(value) ? value["images"] : undefined;
    if (images === null) continue;
    if (!isRecord(images)) return err("images: a map from image name to command is expected");
    for (const [name, entry] of Object.entries(images)) {
      const command = parseEntry(entry);
      if (!command.ok) return err(`images[${name}]: ${command.error}`);
      table.set(name, command.value);
    }
  }
  return ok(table);
}

function parseEntry(entry: unknown): Result<ImageCommand, string> {
  const fields = Array.isArray(entry) ? { command: entry } : entry;
  if (!isRecord(fields)) return err("a list of words, or a map with `command`, is expected");
  const unknown = Object.keys(fields).find((key) => !["command", "args", "workingDirectory"].includes(key));
  if (unknown !== undefined) return err(`unknown field "${unknown}"`);
  const command = words(fields["command"]);
  const args = words(fields["args"] ?? []);
  if (command === undefined || command.length === 0) return err("command: a list of words is expected");
  if (args === undefined) return err("args: a list of words is expected");
  const directory = fields["workingDirectory"];
  if (directory !== undefined && typeof directory !== "string") return err("workingDirectory: a path is expected");
  return ok({ command, args, workingDirectory: directory });
}

function words(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const texts: string[] = [];
  for (const word of value) {
    if (typeof word !== "string" && typeof word !== "number") return undefined;
    texts.push(String(word));
  }
  return texts;
}

/** `registry:5000/team/app:1.0@sha256:…` without tag and digest. */
function withoutTag(image: string): string {
  const name = image.split("@")[0] ?? image;
  const slash = name.lastIndexOf("/");
  const colon = name.lastIndexOf(":");
  return colon > slash ? name.slice(0, colon) : name;
}
