// Resources from files: each holds a DiscoveryResponse as JSON or YAML, is watched, and is applied as a whole when it changed.

import fs from "node:fs";
import { isRecord, parseJson, parseYamlDocuments } from "../../base/json.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { watchFiles } from "../../base/watch-file.ts";
import { Node } from "../../proto/gen/envoy/config/core/v3/base.ts";
import { DiscoveryResponse } from "../../proto/gen/envoy/service/discovery/v3/discovery.ts";
import { fromEnvoyJson } from "../../proto/json.ts";
import { TYPE_URLS } from "./decode.ts";
import { fileName, readFileName } from "./file-name.ts";
import { FILE_BYTES_MAX } from "./limits.ts";
import { makeSotwWire } from "./sotw.ts";
import type { ResourceHandler, ResourceKind, ResourceRefusal, ResourceSource, ResourceUpdate } from "./source.ts";
import { isNamed, type NamedKind } from "./wire.ts";

export interface FilePath {
  readonly path: string;
  readonly watched: string;
}

export interface FileSourceOptions {
  /** The files of all listeners or clusters. */
  readonly cluster: FilePath | undefined;
  readonly listener: FilePath | undefined;
  /** What can't be read: the last good content stays in force. */
  onProblem(text: string): void;
}

export function makeFileSource(options: FileSourceOptions): ResourceSource {
  return new FileSource(options);
}

class FileSource implements ResourceSource {
  readonly listeners: boolean;
  readonly #options: FileSourceOptions;
  readonly #files = new Map<string, WatchedResources>();
  #handler: ResourceHandler | undefined;

  constructor(options: FileSourceOptions) {
    this.#options = options;
    this.listeners = options.listener !== undefined;
  }

  start(handler: ResourceHandler): void {
    this.#handler = handler;
    for (const kind of ["cluster", "listener"] as const) {
      const file = this.#options[kind];
      if (file !== undefined) this.#open(kind, file).load();
    }
  }

  setWanted(kind: NamedKind, names: ReadonlySet<string>): void {
    const byFile = new Map<string, { readonly file: FilePath; readonly names: Set<string> }>();
    for (const text of names) {
      const read = readFileName(text);
      if (read === undefined) continue;
      const key = keyOf(kind, read);
      const known = byFile.get(key) ?? { file: { path: read.path, watched: read.watched }, names: new Set<string>() };
      byFile.set(key, known);
      known.names.add(read.name);
    }
    for (const [key, file] of this.#files) {
      if (!key.startsWith(`${kind} `) || byFile.has(key)) continue;
      file.stop();
      this.#files.delete(key);
    }
    for (const { file, names: wanted } of byFile.values()) this.#open(kind, file).want(wanted);
  }

  stop(): void {
    for (const file of this.#files.values()) file.stop();
    this.#files.clear();
    this.#handler = undefined;
  }

  #open(kind: ResourceKind, file: FilePath): WatchedResources {
    const key = keyOf(kind, file);
    const known = this.#files.get(key);
    if (known !== undefined) return known;
    const opened = new WatchedResources(kind, file, {
      onUpdate: (update) => this.#handler?.onUpdate(update) ?? [],
      onProblem: (text) => this.#options.onProblem(text),
    });
    this.#files.set(key, opened);
    return opened;
  }
}

function keyOf(kind: ResourceKind, file: FilePath): string {
  return `${kind} ${file.path}\n${file.watched}`;
}

interface Receiver {
  onUpdate(update: ResourceUpdate): readonly ResourceRefusal[];
  onProblem(text: string): void;
}

/** One file for one kind: a stream of one response after the other, of which only differences go on. */
class WatchedResources {
  readonly #kind: ResourceKind;
  readonly #file: FilePath;
  readonly #receiver: Receiver;
  readonly #wire = makeSotwWire(Node.fromPartial({}), new Set());
  readonly #stop: () => void;
  #read: string | undefined;
  #stopped = false;

  constructor(kind: ResourceKind, file: FilePath, receiver: Receiver) {
    this.#kind = kind;
    this.#file = file;
    this.#receiver = receiver;
    this.#stop = watchFiles([file.path], file.watched === "" ? [] : [file.watched], () => this.load());
  }

  want(names: ReadonlySet<string>): void {
    if (!isNamed(this.#kind) || this.#wire.want(this.#kind, names) === undefined) return;
    this.#read = undefined;
    // Not from within the update that asked for it.
    queueMicrotask(() => this.load());
  }

  load(): void {
    if (this.#stopped) return;
    const text = readResources(this.#file.path);
    if (text.ok && text.value === this.#read) return;
    const response = text.ok ? parseResponse(text.value, this.#kind) : text;
    if (!response.ok) {
      this.#receiver.onProblem(`${this.#file.path}: ${response.error}; what was read before stays in force`);
      return;
    }
    this.#read = text.ok ? text.value : undefined;
    this.#wire.receive(response.value, {
      onUpdate: (update) => this.#receiver.onUpdate(isNamed(this.#kind) ? this.#renamed(update) : update),
      onState: () => undefined,
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#stop();
  }

  /** By the names under which the file's resources are referred to. */
  #renamed(update: ResourceUpdate): ResourceUpdate {
    const rename = (name: string) => fileName({ ...this.#file, name });
    const removed = update.removed.map(rename);
    switch (update.kind) {
      case "endpoint":
        return { ...update, removed, changed: update.changed.map((one) => ({ ...one, name: rename(one.name) })) };
      case "route":
        return { ...update, removed, changed: update.changed.map((one) => ({ ...one, name: rename(one.name) })) };
      case "secret":
        return { ...update, removed, changed: update.changed.map((one) => ({ ...one, name: rename(one.name) })) };
      default:
        return update;
    }
  }
}

function readResources(path: string): Result<string, string> {
  try {
    const { size } = fs.statSync(path);
    return size > FILE_BYTES_MAX ? err(`more than ${FILE_BYTES_MAX} bytes`) : ok(fs.readFileSync(path, "utf8"));
  } catch (error) {
    return err(`can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parseResponse(text: string, kind: ResourceKind): Result<DiscoveryResponse, string> {
  const document = text.trimStart().startsWith("{") ? parseJson(text) : firstDocument(text);
  if (!document.ok) return document;
  if (!isRecord(document.value)) return err("expected a DiscoveryResponse as JSON or YAML, with resources");
  const response = fromEnvoyJson(DiscoveryResponse, document.value);
  if (!response.ok) return err(response.error.join("; "));
  response.value.typeUrl = TYPE_URLS[kind];
  const other = response.value.resources.find((any) => any.typeUrl !== TYPE_URLS[kind]);
  return other === undefined ? response : err(`holds a ${other.typeUrl}, expected only ${TYPE_URLS[kind]}`);
}

function firstDocument(text: string): Result<unknown, string> {
  const documents = parseYamlDocuments(text);
  if (!documents.ok) return documents;
  const [only, ...more] = documents.value;
  return only === undefined || more.length > 0 ? err("expected exactly one YAML document") : ok(only.value);
}
