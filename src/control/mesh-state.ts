// The newest snapshot and what was translated from it: replaced as a whole with each burst of changes.

import type { ResourceSet } from "../ingest/resources.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import type { KeySets } from "../model/request-authentication.ts";
import { buildSnapshot, type MeshSnapshot } from "../model/snapshot.ts";
import type { Secret } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import { type EncodedConfiguration, Encoder } from "../serve/resource.ts";
import type { ProxyNode } from "../translate/proxy.ts";
import { type ProxyConfiguration, TranslationMemory, Translator } from "../translate/translate.ts";
import { type TrustBundle, trustSecret } from "../translate/trust.ts";
import { storedForms } from "./kept-forms.ts";

const SWEEP_EVERY = 64;

export class MeshState {
  readonly #mesh: MeshConfig;
  readonly #encoder = new Encoder();
  readonly #memory = new TranslationMemory();
  #snapshot: MeshSnapshot | undefined;
  #translator: Translator | undefined;
  #keySets: KeySets = new Map();
  #trust: readonly Secret[] = [];
  #sequence = 0;

  constructor(mesh: MeshConfig) {
    this.#mesh = mesh;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get snapshot(): MeshSnapshot | undefined {
    return this.#snapshot;
  }

  replace(resources: ResourceSet): MeshSnapshot {
    this.#sequence += 1;
    // What an earlier run stored, and what this one has seen since.
    const forms = new Map([...storedForms(resources), ...(this.#snapshot?.goodForms ?? [])]);
    this.#snapshot = buildSnapshot(resources, this.#mesh, { forms, keySets: this.#keySets }, this.#snapshot);
    this.#translator = new Translator(this.#snapshot, this.#memory);
    if (this.#sequence % SWEEP_EVERY === 0) this.#encoder.sweep();
    return this.#snapshot;
  }

  /** Key sets that were fetched count from the next snapshot on. */
  setKeySets(keySets: KeySets): void {
    this.#keySets = keySets;
  }

  /** What the proxies are told to trust, from the next snapshot on. */
  setTrust(bundle: TrustBundle): void {
    this.#trust = [trustSecret(bundle)];
  }

  translate(proxy: ProxyNode): ProxyConfiguration | undefined {
    return this.#translator?.translate(proxy);
  }

  configure(proxy: ProxyNode): EncodedConfiguration | undefined {
    const parts = this.#translator?.parts(proxy);
    const { virtualHosts } = proxy;
    if (parts === undefined) return undefined;
    const shared = { ...parts.shared, secrets: this.#trust };
    return this.#encoder.encode({ shared, own: parts.own }, { sequence: this.#sequence, virtualHosts });
  }
}
