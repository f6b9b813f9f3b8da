// The table: every theme, what a proxy of it holds, and how an outcome is compared.

import assert from "node:assert/strict";
import { isRecord } from "../../src/base/json.ts";
import type { ProxyNode } from "../../src/translate/proxy.ts";
import { Translator } from "../../src/translate/translate.ts";
import { snapshotOf } from "../unit/translate/mesh.ts";
import type { Outcome } from "./call.ts";
import { CLIENTS, type Client, type SimCase, type Theme } from "./case.ts";
import { type Held, holding } from "./held.ts";
import { MESH, manifestsOf } from "./mesh.ts";

const everybody = manifestsOf(MESH);

/** One for each theme: what each of its proxies holds. */
export class ThemeMesh {
  readonly #theme: Theme;
  readonly #translator: Translator;
  readonly #held = new Map<Client, Held>();

  constructor(theme: Theme) {
    this.#theme = theme;
    const { manifests, outboundTrafficPolicy } = theme;
    const text = manifests === undefined ? everybody : `${everybody}\n---\n${manifests}`;
    this.#translator = new Translator(
      snapshotOf(text, outboundTrafficPolicy === undefined ? {} : { outboundTrafficPolicy }),
    );
  }

  clientOf(one: SimCase): Client {
    return one.by ?? this.#theme.by ?? "frontend";
  }

  configuration(client: Client, engine: ProxyNode["engine"]) {
    return this.#translator.translate({ ...CLIENTS[client], engine });
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
