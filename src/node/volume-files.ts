// What the files of a volume should hold: ConfigMaps, Secrets, the downward API, tokens. Values only, nothing is written here.

import type { KubeClient } from "../api/client.ts";
import { configMapKind } from "../api/kubernetes/config-map.ts";
import { secretKind } from "../api/kubernetes/secret.ts";
import type { Volume } from "../api/kubernetes/volume.ts";
import { err, ok, type Result } from "../base/result.ts";
import { fieldOf, type PodFacts, resourceOf } from "./facts.ts";

export interface VolumeFile {
  readonly path: string;
  readonly content: Buffer;
  readonly mode: number;
}

export interface TokenSource {
  token(request: {
    readonly audience: string | undefined;
    readonly expirationSeconds: number;
  }): Promise<Result<string, string>>;
}

export interface VolumeScope {
  readonly facts: PodFacts;
  readonly client: KubeClient;
  readonly tokens: TokenSource;
}

type Files = Result<readonly VolumeFile[], string>;
type Items = readonly { readonly key: string; readonly path: string; readonly mode?: number }[];
type Downward = NonNullable<NonNullable<Volume["downwardAPI"]>["items"]>;
type Projection = NonNullable<NonNullable<Volume["projected"]>["sources"]>[number];

const MODE_DEFAULT = 0o644;
const TOKEN_SECONDS_DEFAULT = 3600;

/** Undefined when the volume has no files of ours (emptyDir, hostPath …). */
export function filesOf(volume: Volume, scope: VolumeScope): Promise<Files> | undefined {
  if (volume.configMap !== undefined) return configMapFiles(volume.configMap, scope);
  if (volume.secret !== undefined) {
    const { secretName, ...rest } = volume.secret;
    return secretFiles({ ...rest, ...(secretName === undefined ? {} : { name: secretName }) }, scope);
  }
  if (volume.downwardAPI !== undefined) {
    return Promise.resolve(downwardFiles(volume.downwardAPI.items ?? [], scope, volume.downwardAPI.defaultMode));
  }
  if (volume.projected !== undefined) return projectedFiles(volume.projected, scope);
  return undefined;
}

interface DataSource {
  readonly name?: string;
  readonly items?: Items;
  readonly defaultMode?: number;
  readonly optional?: boolean;
}

async function configMapFiles(source: DataSource, scope: VolumeScope): Promise<Files> {
  const found = await scope.client.get(configMapKind, refOf(source, scope));
  if (!found.ok) return source.optional === true ? ok([]) : err(`configmap "${source.name}": ${found.error.message}`);
  const entries = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(found.value.data ?? {})) entries.set(key, Buffer.from(value));
  for (const [key, value] of Object.entries(found.value.binaryData ?? {}))
    entries.set(key, Buffer.from(value, "base64"));
  return chosen(entries, source);
}

async function secretFiles(source: DataSource, scope: VolumeScope): Promise<Files> {
  const found = await scope.client.get(secretKind, refOf(source, scope));
  if (!found.ok) return source.optional === true ? ok([]) : err(`secret "${source.name}": ${found.error.message}`);
  const entries = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(found.value.data ?? {})) entries.set(key, Buffer.from(value, "base64"));
  return chosen(entries, source);
}

function refOf(source: DataSource, scope: VolumeScope): { readonly namespace: string; readonly name: string } {
  return { namespace: scope.facts.pod.metadata.namespace ?? "default", name: source.name ?? "" };
}

function chosen(entries: ReadonlyMap<string, Buffer>, source: DataSource): Files {
  const mode = source.defaultMode ?? MODE_DEFAULT;
  if (source.items === undefined || source.items.length === 0) {
    return ok([...entries].map(([path, content]) => ({ path, content, mode })));
  }
  const files: VolumeFile[] = [];
  for (const item of source.items) {
    const content = entries.get(item.key);
    if (content !== undefined) files.push({ path: item.path, content, mode: item.mode ?? mode });
    else if (source.optional !== true) return err(`references non-existent key: ${item.key} in "${source.name}"`);
  }
  return ok(files);
}

function downwardFiles(items: Downward, scope: VolumeScope, defaultMode: number | undefined): Files {
  const files: VolumeFile[] = [];
  for (const item of items) {
    const value = downwardValue(item, scope);
    if (!value.ok) return value;
    files.push({ path: item.path, content: Buffer.from(value.value), mode: item.mode ?? defaultMode ?? MODE_DEFAULT });
  }
  return ok(files);
}

function downwardValue(item: Downward[number], scope: VolumeScope): Result<string, string> {
  if (item.fieldRef !== undefined) return fieldOf(item.fieldRef.fieldPath, scope.facts);
  const reference = item.resourceFieldRef;
  const container = scope.facts.pod.spec.containers.find((other) => other.name === reference?.containerName);
  if (reference === undefined || container === undefined) return err(`downwardAPI: ${item.path} names no field`);
  return resourceOf(reference, container, scope.facts.capacity);
}

async function projectedFiles(projected: NonNullable<Volume["projected"]>, scope: VolumeScope): Promise<Files> {
  const files: VolumeFile[] = [];
  for (const source of projected.sources ?? []) {
    const part = await projectionFiles(source, scope, projected.defaultMode ?? MODE_DEFAULT);
    if (!part.ok) return part;
    files.push(...part.value);
  }
  return ok(files);
}

async function projectionFiles(source: Projection, scope: VolumeScope, defaultMode: number): Promise<Files> {
  if (source.configMap !== undefined) return configMapFiles({ ...source.configMap, defaultMode }, scope);
  if (source.secret !== undefined) return secretFiles({ ...source.secret, defaultMode }, scope);
  if (source.downwardAPI !== undefined) return downwardFiles(source.downwardAPI.items ?? [], scope, defaultMode);
  const wanted = source.serviceAccountToken;
  if (wanted === undefined) return err("projected: a source that this node can't provide");
  const token = await scope.tokens.token({
    audience: wanted.audience,
    expirationSeconds: wanted.expirationSeconds ?? TOKEN_SECONDS_DEFAULT,
  });
  if (!token.ok) return token;
  return ok([{ path: wanted.path, content: Buffer.from(token.value), mode: defaultMode }]);
}
