// The table: every theme, what a proxy of it holds, and how an outcome is compared.

import assert from "node:assert/strict";
import { isRecord } from "../../src/base/json.ts";
import { MeshState } from "../../src/control/mesh-state.ts";
import { readManifests } from "../../src/ingest/file.ts";
import { defaultMeshConfig } from "../../src/model/mesh-config.ts";
import type { EncodedConfiguration } from "../../src/serve/resource.ts";
import type { ProxyNode } from "../../src/translate/proxy.ts";
import type { ProxyConfiguration } from "../../src/translate/translate.ts";
import type { Outcome } from "./call.ts";
import { CLIENTS, type Client, type SimCase, type Theme } from "./case.ts";
import { type Held, holding } from "./held.ts";
import { MESH, manifestsOf } from "./mesh.ts";

const everybody = manifestsOf(MESH);

/** One for each theme: what each of its proxies gets. */
export class ThemeMesh {
  readonly #theme: Theme;
  readonly #state: MeshState;
  readonly #held = new Map<Client, Held>();

  /** `edit`: of all manifests, as where the files are that they name. */
  constructor(theme: Theme, edit = (text: string): string => text) {
    this.#theme = theme;
    const { manifests, outboundTrafficPolicy } = theme;
    const read = readManifests(edit(manifests === undefined ? everybody : `${everybody}\n---\n${manifests}`));
    assert.ok(read.ok, read.ok ? "" : read.error);
    const policy = outboundTrafficPolicy === undefined ? {} : { outboundTrafficPolicy };
    this.#state = new MeshState({ ...defaultMeshConfig, ...policy });
    this.#state.replace(read.value.resources);
  }

  clientOf(one: SimCase): Client {
    return one.by ?? this.#theme.by ?? "frontend";
  }

  configuration(client: Client, engine: ProxyNode["engine"]): ProxyConfiguration {
    const made = this.#state.translate({ ...CLIENTS[client], engine });
    assert.ok(made !== undefined);
    return made;
  }

  encoded(proxy: ProxyNode): EncodedConfiguration | undefined {
    return this.#state.configure(proxy);
  }

  held(client: Client): Held {
    const known = this.#held.get(client);
    if (known !== undefined) return known;
    const made = holding(this.configuration(client, "weft"));
    this.#held.set(client, made);
    return made;
  }
}

/** What is expected has to be so; what isn't mentioned may be anything. */
export function checkOutcome(expected: Outcome, actual: Outcome): void {
  const wanted: unknown = spelledOut(expected);
  assert.ok(isRecord(wanted));
  const shown: Readonly<Record<string, unknown>> = { ...actual };
  const seen = Object.fromEntries(Object.keys(wanted).map((key) => [key, shown[key]]));
  assert.deepEqual(seen, wanted, `the whole outcome: ${JSON.stringify(actual, undefined, 1)}`);
  if (wanted["error"] === undefined) assert.equal(actual.error, undefined, JSON.stringify(actual));
}

function spelledOut(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll("…", ".svc.cluster.local");
  if (Array.isArray(value)) return value.map(spelledOut);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [spelledOut(key), spelledOut(each)]));
}
