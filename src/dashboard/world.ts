// What the analysis says of the cluster as it is: read when somebody looks, and not again for a moment.

import { analyze } from "../analyze/analyze.ts";
import type { Finding } from "../analyze/finding.ts";
import { ANALYZED } from "../analyze/kinds.ts";
import { buildWorld, type World } from "../analyze/world.ts";
import type { KubeClient } from "../api/client.ts";
import type { KubeObject } from "../api/object.ts";
import type { Clock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import { formatRef } from "../model/finding.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import { WORLD_AGE_MS } from "./limits.ts";

export interface Analyzed {
  readonly world: World;
  /** By `Kind namespace/name`. */
  readonly findings: ReadonlyMap<string, readonly Finding[]>;
}

export interface WorldOptions {
  readonly client: Pick<KubeClient, "list">;
  readonly clock: Clock;
  readonly mesh: MeshConfig;
}

export class WorldReader {
  readonly #options: WorldOptions;
  #last: { readonly atMs: number; readonly analyzed: Analyzed } | undefined;
  #reading: Promise<Result<Analyzed, string>> | undefined;

  constructor(options: WorldOptions) {
    this.#options = options;
  }

  async read(): Promise<Result<Analyzed, string>> {
    const { clock } = this.#options;
    if (this.#last !== undefined && clock.monotonicMs() - this.#last.atMs < WORLD_AGE_MS)
      return ok(this.#last.analyzed);
    this.#reading ??= this.#readAnew().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readAnew(): Promise<Result<Analyzed, string>> {
    const { client, clock, mesh } = this.#options;
    const objects: KubeObject[] = [];
    for (const { kind, which } of ANALYZED) {
      const listed = await client.list(kind, which);
      if (listed.ok) for (const each of listed.value) objects.push(each);
      // A cluster of another version may not have the kind.
      else if (listed.error.code !== 404) return err(`${kind.plural} can't be listed: ${listed.error.message}`);
    }
    const world = buildWorld(objects, mesh);
    const findings = Map.groupBy(analyze(world), ({ resource }) => formatRef(resource));
    const analyzed = { world, findings };
    this.#last = { atMs: clock.monotonicMs(), analyzed };
    return ok(analyzed);
  }
}
