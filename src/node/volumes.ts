// A pod's volumes as directories of the node, written before its containers start and kept up to date while they run.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import type { KubeClient } from "../api/client.ts";
import type { Container } from "../api/kubernetes/container.ts";
import { type PersistentVolumeClaim, persistentVolumeClaimKind } from "../api/kubernetes/persistent-volume-claim.ts";
import type { Volume } from "../api/kubernetes/volume.ts";
import type { Clock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import { expand } from "./expand.ts";
import type { PodFacts } from "./facts.ts";
import { TOKEN_RENEW_AT } from "./limits.ts";
import type { Mount } from "./sandbox.ts";
import { filesOf, type TokenSource, type VolumeFile } from "./volume-files.ts";

export interface VolumeOptions {
  /** The pod's own directory. */
  readonly directory: string;
  /** Where what outlives pods is kept, one directory for each claim. */
  readonly claimDirectory: string;
  readonly client: KubeClient;
  readonly clock: Clock;
  /** The certificate that the API server is known by, for applications that talk to it. */
  readonly apiCertificate: string | undefined;
}

const ACCOUNT_MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const ACCOUNT_VOLUME = "kube-api-access";
const ACCOUNT_TOKEN_SECONDS = 3600;
const TOKENS_MAX = 32;

export class PodVolumes {
  readonly #options: VolumeOptions;
  readonly #tokens = new Map<string, { readonly token: string; readonly renewAtMs: number }>();

  /** Directories of the volumes that are claims. */
  readonly #claims = new Map<string, string>();

  constructor(options: VolumeOptions) {
    this.#options = options;
  }

  /** Makes every volume, or brings it up to date. The error is a FailedMount event's text. */
  async write(facts: PodFacts): Promise<Result<void, string>> {
    const tokens: TokenSource = { token: (request) => this.#token(request, facts) };
    for (const volume of facts.pod.spec.volumes ?? []) {
      const made = await this.#writeOne(volume, facts, tokens);
      if (!made.ok) return err(`MountVolume.SetUp failed for volume "${volume.name}": ${made.error}`);
    }
    return facts.pod.spec.automountServiceAccountToken === false ? ok(undefined) : this.#writeAccount(facts, tokens);
  }

  mountsOf(
    container: Container,
    facts: PodFacts,
    env: Readonly<Record<string, string>>,
  ): Result<readonly Mount[], string> {
    const mounts: Mount[] = [];
    for (const wanted of container.volumeMounts ?? []) {
      const volume = facts.pod.spec.volumes?.find((other) => other.name === wanted.name);
      if (volume === undefined) return err(`volumeMount ${wanted.mountPath}: the pod has no volume "${wanted.name}"`);
      const base = volume.hostPath?.path ?? this.#claims.get(volume.name) ?? this.#path(volume.name);
      const subPath = wanted.subPathExpr === undefined ? wanted.subPath : expand(wanted.subPathExpr, env);
      const source = join(base, subPath ?? "");
      if (relative(base, source).startsWith(".."))
        return err(`subPath "${subPath}" leaves the volume "${volume.name}"`);
      if (!existsSync(source)) mkdirSync(source, { recursive: true });
      mounts.push({ source, target: wanted.mountPath, readOnly: wanted.readOnly === true || hasFiles(volume) });
    }
    const account = this.#path(ACCOUNT_VOLUME);
    const taken = mounts.some((mount) => normalize(mount.target) === ACCOUNT_MOUNT_PATH);
    if (!taken && existsSync(account)) mounts.push({ source: account, target: ACCOUNT_MOUNT_PATH, readOnly: true });
    return ok(mounts);
  }

  #path(volume: string): string {
    return join(this.#options.directory, "volumes", volume);
  }

  async #writeOne(volume: Volume, facts: PodFacts, tokens: TokenSource): Promise<Result<void, string>> {
    if (volume.hostPath !== undefined) return prepareHostPath(volume.hostPath);
    const directory = this.#path(volume.name);
    if (volume.emptyDir !== undefined) return makeDirectory(directory);
    if (volume.persistentVolumeClaim !== undefined)
      return this.#claim(volume.name, volume.persistentVolumeClaim, facts);
    const files = filesOf(volume, { facts, client: this.#options.client, tokens });
    if (files === undefined) return err("this kind of volume is not available on the local node");
    const content = await files;
    return content.ok ? writeFiles(directory, content.value) : content;
  }

  async #claim(volume: string, source: { readonly claimName: string }, facts: PodFacts): Promise<Result<void, string>> {
    const { namespace = "default" } = facts.pod.metadata;
    const found = await this.#options.client.get(persistentVolumeClaimKind, { namespace, name: source.claimName });
    if (!found.ok) return err(found.error.message);
    const directory = claimPath(this.#options.claimDirectory, found.value);
    this.#claims.set(volume, directory);
    return makeDirectory(directory);
  }

  async #writeAccount(facts: PodFacts, tokens: TokenSource): Promise<Result<void, string>> {
    const token = await tokens.token({ audience: undefined, expirationSeconds: ACCOUNT_TOKEN_SECONDS });
    // Without its service account the pod can still run: only a program that asks the API misses the token.
    if (!token.ok) return ok(undefined);
    const texts = new Map([
      ["token", token.value],
      ["namespace", facts.pod.metadata.namespace ?? "default"],
      ["ca.crt", this.#options.apiCertificate ?? ""],
    ]);
    const files = [...texts].map(([path, text]) => ({ path, content: Buffer.from(text), mode: 0o644 }));
    return writeFiles(this.#path(ACCOUNT_VOLUME), files);
  }

  async #token(
    request: { readonly audience: string | undefined; readonly expirationSeconds: number },
    facts: PodFacts,
  ): Promise<Result<string, string>> {
    const key = `${request.audience ?? ""} ${request.expirationSeconds}`;
    const known = this.#tokens.get(key);
    const nowMs = this.#options.clock.wallMs();
    if (known !== undefined && nowMs < known.renewAtMs) return ok(known.token);
    const { metadata, spec } = facts.pod;
    const made = await this.#options.client.createToken({
      namespace: metadata.namespace ?? "default",
      serviceAccount: spec.serviceAccountName ?? "default",
      audiences: request.audience === undefined ? [] : [request.audience],
      expirationSeconds: request.expirationSeconds,
      pod: { name: metadata.name, uid: metadata.uid ?? "" },
    });
    if (!made.ok) return err(`failed to fetch token: ${made.error.message}`);
    if (this.#tokens.size >= TOKENS_MAX) this.#tokens.clear();
    this.#tokens.set(key, { token: made.value, renewAtMs: nowMs + request.expirationSeconds * 1000 * TOKEN_RENEW_AT });
    return ok(made.value);
  }
}

export function claimPath(root: string, claim: PersistentVolumeClaim): string {
  return join(root, `pvc-${claim.metadata.uid ?? ""}`);
}

function hasFiles(volume: Volume): boolean {
  return [volume.configMap, volume.secret, volume.downwardAPI, volume.projected].some((source) => source !== undefined);
}

function prepareHostPath(source: { readonly path: string; readonly type?: string }): Result<void, string> {
  const type = source.type ?? "";
  if (type === "DirectoryOrCreate") return makeDirectory(source.path);
  const found = statSync(source.path, { throwIfNoEntry: false });
  if (type === "" || type === "FileOrCreate") return ok(undefined);
  if (type === "Directory" && found?.isDirectory() !== true)
    return err(`hostPath type check failed: ${source.path} is not a directory`);
  if (type === "File" && found?.isFile() !== true)
    return err(`hostPath type check failed: ${source.path} is not a file`);
  return ok(undefined);
}

function makeDirectory(path: string): Result<void, string> {
  return attempt(() => mkdirSync(path, { recursive: true, mode: 0o777 }));
}

/** Each file is replaced as a whole, so that a reader never sees half of one; what is no longer wanted goes. */
function writeFiles(directory: string, files: readonly VolumeFile[]): Result<void, string> {
  const wanted = new Map(files.map((file) => [normalize(file.path), file]));
  return attempt(() => {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    for (const [path, file] of wanted) {
      const target = join(directory, path);
      if (relative(directory, target).startsWith("..")) throw new Error(`"${file.path}" leaves the volume`);
      if (existsSync(target) && readFileSync(target).equals(file.content)) continue;
      mkdirSync(dirname(target), { recursive: true });
      const temporary = join(directory, `..${process.pid}.tmp`);
      writeFileSync(temporary, file.content, { mode: file.mode });
      renameSync(temporary, target);
    }
    for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
      const path = relative(directory, join(entry.parentPath, entry.name));
      if (entry.isFile() && !wanted.has(path)) rmSync(join(directory, path), { force: true });
    }
  });
}

function attempt(run: () => void): Result<void, string> {
  try {
    run();
    return ok(undefined);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}
