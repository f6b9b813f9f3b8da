// An Event on each mesh resource whose configuration a proxy refused, and on the pod where no resource is to blame.

import type { KubeClient } from "../api/client.ts";
import { istioKinds } from "../api/istio/kinds.ts";
import { apiVersionOf } from "../api/kind.ts";
import { eventKind } from "../api/kubernetes/event.ts";
import type { Clock } from "../base/clock.ts";
import type { Refusal } from "../serve/session.ts";
import type { ProxyNode } from "../translate/proxy.ts";
import { blamedResources } from "./blame.ts";
import { EVENTS_REMEMBERED_MAX, MESSAGE_LENGTH_MAX } from "./limits.ts";

export interface RefusalEventsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: (level: "info" | "warn", message: string) => void;
}

interface Subject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export class RefusalEvents {
  readonly #options: RefusalEventsOptions;
  /** What was told, so that a proxy which connects again and again doesn't repeat it. */
  readonly #told = new Set<string>();

  constructor(options: RefusalEventsOptions) {
    this.#options = options;
  }

  tell(proxy: ProxyNode, refusals: readonly Refusal[]): void {
    for (const refusal of refusals) {
      const { name, version } = refusal.resource;
      const key = `${proxy.id} ${refusal.type} ${name} ${version}`;
      if (this.#told.has(key)) continue;
      if (this.#told.size >= EVENTS_REMEMBERED_MAX) this.#told.clear();
      this.#told.add(key);
      const blamed = blamedResources(refusal).flatMap(subjectOf);
      const pod: Subject = { apiVersion: "v1", kind: "Pod", namespace: proxy.namespace, name: proxy.pod };
      for (const subject of blamed.length > 0 ? blamed : [pod]) void this.#write(subject, proxy, refusal);
    }
  }

  async #write(subject: Subject, proxy: ProxyNode, { type, resource, message }: Refusal): Promise<void> {
    const { client, clock, log } = this.#options;
    const now = clock.wallMs();
    const time = `${new Date(now).toISOString().slice(0, 19)}Z`;
    const text = `proxy ${proxy.pod}.${proxy.namespace} refused ${type} ${resource.name}, and goes on with what it had: ${message}`;
    const { namespace, name } = subject;
    const written = await client.create(eventKind, {
      apiVersion: "v1",
      kind: "Event",
      metadata: {
        name: `${name}.${Math.floor(now * 1e3).toString(16)}${resource.version
          .slice(0, 4)
          .toLowerCase()
          .replaceAll(/[^a-z0-9]/g, "0")}`,
        namespace,
      },
      involvedObject: { ...subject },
      reason: "Refused",
      message: text.slice(0, MESSAGE_LENGTH_MAX),
      type: "Warning",
      source: { component: "weft-control" },
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    });
    if (!written.ok) log("warn", `Event about ${subject.kind} ${namespace}/${name}: ${written.error.message}`);
  }
}

function subjectOf(reference: string): readonly Subject[] {
  const [, kind = "", namespace = "", name = ""] = /^(\w+) ([^/]+)\/(.+)$/.exec(reference) ?? [];
  const known = istioKinds.find((each) => each.kind === kind);
  return known === undefined ? [] : [{ apiVersion: apiVersionOf(known), kind, namespace, name }];
}
