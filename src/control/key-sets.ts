// The key sets that RequestAuthentications verify tokens with: fetched here once for all proxies, kept fresh, the last good one never lost.

import http from "node:http";
import https from "node:https";
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import type { JwtRule } from "../api/istio/request-authentication.ts";
import { parseDurationMs } from "../api/istio/rules.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { deepEqual } from "../base/equal.ts";
import { isRecord, parseJson } from "../base/json.ts";
import type { Random } from "../base/random.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type FetchedKeys, type KeySets, keyLocation } from "../model/request-authentication.ts";
import {
  KEY_SET_BYTES_MAX,
  KEY_SET_REFRESH_MS,
  KEY_SET_RETRY_BASE_MS,
  KEY_SET_RETRY_MAX_MS,
  KEY_SET_TIMEOUT_MS,
  KEY_SETS_MAX,
} from "./limits.ts";

export interface KeySetKeeperOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** The address of a host that the mesh knows; undefined where the system's resolver is to be asked. */
  readonly addressOf: (host: string) => string | undefined;
  readonly onChange: (keySets: KeySets) => void;
  readonly log: (level: "info" | "warn", message: string) => void;
}

interface Kept {
  readonly location: string;
  /** The location is an issuer's discovery document, which names the key set. */
  discovered: boolean;
  timeoutMs: number;
  fetched: FetchedKeys | undefined;
  failures: number;
  timer: Timer | undefined;
}

export class KeySetKeeper {
  readonly #options: KeySetKeeperOptions;
  readonly #kept = new Map<string, Kept>();
  #stopped = false;

  constructor(options: KeySetKeeperOptions) {
    this.#options = options;
  }

  /** What is no longer wanted is forgotten; what is new is fetched at once. */
  want(rules: Iterable<JwtRule>): void {
    const wanted = new Map<string, JwtRule>();
    for (const rule of rules) {
      const location = keyLocation(rule);
      if (location !== undefined && wanted.size < KEY_SETS_MAX) wanted.set(location, rule);
    }
    for (const [location, { timer }] of this.#kept) {
      if (wanted.has(location)) continue;
      timer?.cancel();
      this.#kept.delete(location);
    }
    for (const [location, rule] of wanted) this.#follow(location, rule);
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#kept.values()) timer?.cancel();
  }

  #follow(location: string, rule: JwtRule): void {
    const timeoutMs = (rule.timeout === undefined ? undefined : parseDurationMs(rule.timeout)) ?? KEY_SET_TIMEOUT_MS;
    const known = this.#kept.get(location);
    if (known !== undefined) {
      known.timeoutMs = timeoutMs;
      return;
    }
    const discovered = rule.jwksUri === undefined;
    const kept: Kept = { location, discovered, timeoutMs, fetched: undefined, failures: 0, timer: undefined };
    this.#kept.set(location, kept);
    void this.#fetch(kept);
  }

  async #fetch(kept: Kept): Promise<void> {
    const { clock, random, log } = this.#options;
    const result = await this.#read(kept);
    if (this.#stopped || this.#kept.get(kept.location) !== kept) return;
    kept.failures = result.ok ? 0 : kept.failures + 1;
    const delayMs = result.ok
      ? KEY_SET_REFRESH_MS * (0.9 + 0.2 * random())
      : backoffMs(kept.failures, { baseMs: KEY_SET_RETRY_BASE_MS, maxMs: KEY_SET_RETRY_MAX_MS, random });
    kept.timer = clock.after(delayMs, () => void this.#fetch(kept));
    if (!result.ok && kept.failures === 1) {
      const stays = kept.fetched?.kind === "keys" ? "; the keys from before stay in force" : "";
      log("warn", `key set ${kept.location}: ${result.error}${stays}`);
    }
    // Keys that were had once are better than none.
    if (!result.ok && kept.fetched?.kind === "keys") return;
    const next: FetchedKeys = result.ok
      ? { kind: "keys", jwks: result.value }
      : { kind: "failed", reason: result.error };
    if (deepEqual(kept.fetched, next)) return;
    kept.fetched = next;
    this.#options.onChange(this.#all());
  }

  #all(): KeySets {
    return new Map([...this.#kept.values()].flatMap(({ location, fetched }) => (fetched ? [[location, fetched]] : [])));
  }

  async #read(kept: Kept): Promise<Result<string, string>> {
    if (!kept.discovered) return asKeySet(await this.#get(kept.location, kept.timeoutMs));
    const document = await this.#get(kept.location, kept.timeoutMs);
    if (!document.ok) return document;
    const parsed = parseJson(document.value);
    const uri = parsed.ok && isRecord(parsed.value) ? parsed.value["jwks_uri"] : undefined;
    if (typeof uri !== "string") return err("the discovery document names no jwks_uri");
    return asKeySet(await this.#get(uri, kept.timeoutMs));
  }

  #get(uri: string, timeoutMs: number): Promise<Result<string, string>> {
    return get(uri, timeoutMs, lookupBy(this.#options.addressOf));
  }
}

function asKeySet(text: Result<string, string>): Result<string, string> {
  if (!text.ok) return text;
  const parsed = parseJson(text.value);
  const keys = parsed.ok && isRecord(parsed.value) ? parsed.value["keys"] : undefined;
  if (!Array.isArray(keys))
    return err('the answer is not a JSON Web Key Set: an object with a list "keys" is expected');
  return keys.length > 0 ? text : err("the JSON Web Key Set holds no key");
}

/** Hosts of the mesh by the mesh's own knowledge: the control plane has no sidecar that would resolve them. */
function lookupBy(addressOf: KeySetKeeperOptions["addressOf"]): (host: string) => LookupFunction | undefined {
  return (host) => {
    const address = addressOf(host);
    if (address === undefined) return undefined;
    const family = isIP(address);
    return (_host, options, callback) => {
      if (options.all === true) callback(null, [{ address, family }]);
      else callback(null, address, family);
    };
  };
}

function get(
  uri: string,
  timeoutMs: number,
  lookupOf: (host: string) => LookupFunction | undefined,
): Promise<Result<string, string>> {
  const url = URL.parse(uri);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return Promise.resolve(err(`${uri} is not an http or https address`));
  }
  const { promise, resolve } = Promise.withResolvers<Result<string, string>>();
  const client = url.protocol === "https:" ? https : http;
  const lookup = lookupOf(url.hostname);
  const options = { signal: AbortSignal.timeout(timeoutMs), ...(lookup === undefined ? {} : { lookup }), agent: false };
  const request = client.get(url, options, (response) => {
    if (response.statusCode !== 200) {
      response.resume();
      resolve(err(`${url.host} answered ${response.statusCode}`));
      return;
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= KEY_SET_BYTES_MAX) chunks.push(chunk);
      else request.destroy(new Error(`the answer is longer than ${KEY_SET_BYTES_MAX} bytes`));
    });
    response.on("end", () => resolve(ok(Buffer.concat(chunks).toString("utf8"))));
    response.on("error", (error) => resolve(err(error.message)));
  });
  request.on("error", (error) =>
    resolve(
      err(
        error.name === "AbortError" || error.name === "TimeoutError"
          ? `no answer within ${timeoutMs} ms`
          : error.message,
      ),
    ),
  );
  return promise;
}
