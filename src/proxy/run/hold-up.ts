// Why a listener does not serve yet: what it refers to that has not arrived, and for how long that is waited for.

import type { Clock } from "../../base/clock.ts";
import type { Acceptor } from "../stack/acceptor.ts";
import type { Warming } from "./listeners.ts";
import { chainsOf } from "./references.ts";
import type { SecretStore } from "./secrets.ts";

export interface Surroundings {
  readonly clock: Clock;
  readonly secrets: SecretStore;
  readonly hasRoutes: (name: string) => boolean;
  /** At the start no listener goes before the clusters. */
  readonly isBeginning: () => boolean;
  /** To look again. */
  readonly kick: () => void;
}

export class HoldUps {
  readonly #around: Surroundings;
  /** Secrets whose waiting time a timer ends. */
  readonly #timed = new Set<string>();

  constructor(around: Surroundings) {
    this.#around = around;
  }

  of({ config, sinceMs }: Warming, acceptor: Acceptor): string | undefined {
    const secret = acceptor.heldUpBy((name, waitMs) => this.#isGivenUp(name, sinceMs, waitMs));
    if (secret !== undefined) return secret;
    if (this.#around.isBeginning()) return "the clusters are not there yet";
    for (const { terminal } of chainsOf(config)) {
      if (terminal.kind !== "http" || terminal.routes.kind === "inline") continue;
      const { name } = terminal.routes;
      if (!this.#around.hasRoutes(name)) return `route configuration ${name} has not arrived`;
    }
    return undefined;
  }

  /** The control plane has said that there is none, or it has been waited for long enough. */
  #isGivenUp(secret: string, sinceMs: number, waitMs: number | undefined): boolean {
    if (waitMs === undefined) return false;
    const { clock, secrets, kick } = this.#around;
    const leftMs = sinceMs + waitMs - clock.monotonicMs();
    if (secrets.isAbsent(secret) || leftMs <= 0) return true;
    if (!this.#timed.has(secret)) {
      this.#timed.add(secret);
      clock.after(leftMs, () => {
        this.#timed.delete(secret);
        kick();
      });
    }
    return false;
  }
}

export function withoutSecrets(listener: string, missing: readonly string[]): string {
  const names = [...new Set(missing)].join(", ");
  return `listener ${listener} serves without secret ${names}: TLS handshakes that need it fail until it arrives\n`;
}
