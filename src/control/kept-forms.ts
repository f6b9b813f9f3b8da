// Keeps the last good forms of broken routes over a restart: one ConfigMap each in the root namespace, while it is needed.

import type { KubeClient } from "../api/client.ts";
import { virtualServiceKind } from "../api/istio/virtual-service.ts";
import { configMapKind } from "../api/kubernetes/config-map.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { type ConfigMapResource, KEPT_FORM_LABEL, type ResourceSet } from "../ingest/resources.ts";
import type { GoodForm, GoodForms } from "../model/last-good.ts";
import { SerialRun } from "./serial-run.ts";

const FORM = "form.json";
const RESOURCE = "resource";

/** What an earlier run stored; what can't be read counts as not there. */
export function storedForms(resources: ResourceSet): GoodForms {
  const forms = new Map<string, GoodForm>();
  for (const { data } of resources.keptForms.values()) {
    const key = data?.[RESOURCE];
    const form = readForm(data?.[FORM]);
    if (key !== undefined && form !== undefined) forms.set(key, form);
  }
  return forms;
}

function readForm(text: string | undefined): GoodForm | undefined {
  const parsed = text === undefined ? undefined : parseJson(text);
  return parsed?.ok === true && isForm(parsed.value) ? parsed.value : undefined;
}

/** The control plane's own writing, of what had passed the kind's checks. */
function isForm(value: unknown): value is GoodForm {
  if (!isRecord(value) || !isRecord(value["spec"]) || !isRecord(value["subsets"])) return false;
  return Object.values(value["subsets"]).every(Array.isArray);
}

export interface KeptFormsOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly log: (level: "info" | "warn", message: string) => void;
}

/** Writes what is kept and removes what no longer is; one write after the other. */
export class KeptFormsWriter {
  readonly #options: KeptFormsOptions;
  readonly #writes = new SerialRun(() => this.#writeAll());
  #stored: ReadonlyMap<string, ConfigMapResource> = new Map();
  #kept: GoodForms = new Map();

  constructor(options: KeptFormsOptions) {
    this.#options = options;
  }

  set(stored: ResourceSet["keptForms"], kept: GoodForms): void {
    this.#stored = stored;
    this.#kept = kept;
    this.#writes.trigger();
  }

  stop(): void {
    this.#writes.stop();
  }

  async #writeAll(): Promise<void> {
    const stored = new Map([...this.#stored.values()].map((each) => [each.data?.[RESOURCE] ?? "", each]));
    for (const [key, form] of this.#kept) {
      const text = JSON.stringify(form);
      if (!this.#writes.isStopped && stored.get(key)?.data?.[FORM] !== text) await this.#write(key, text);
    }
    for (const [key, { metadata }] of stored) {
      const unwanted = !this.#kept.has(key) && !this.#writes.isStopped;
      if (unwanted) await this.#options.client.remove(configMapKind, { ...this.#place(), name: metadata.name });
    }
  }

  #place(): { readonly namespace: string } {
    return { namespace: this.#options.namespace };
  }

  async #write(key: string, text: string): Promise<void> {
    const { client, log } = this.#options;
    const data = { [RESOURCE]: key, [FORM]: text };
    const name = `weft-last-good.${key.replace("/", ".")}`;
    const metadata = { ...this.#place(), name, labels: { [KEPT_FORM_LABEL]: "true" } };
    const made = await client.create(configMapKind, { apiVersion: "v1", kind: "ConfigMap", metadata, data });
    if (made.ok) return;
    const written =
      made.error.reason === "AlreadyExists"
        ? await client.mergePatch(configMapKind, { ...this.#place(), name }, { body: { data } })
        : made;
    if (written.ok || this.#writes.isStopped) return;
    log(
      "warn",
      `the last good form of ${virtualServiceKind.kind} ${key} is in force but not stored, so a restart of the control plane would lose it: ${written.error.message}`,
    );
  }
}
