// Pages that are kept up to date, by Server-Sent Events: one message for all, made only while somebody looks.

import type { ServerResponse } from "node:http";
import type { Clock, Timer } from "../base/clock.ts";
import { LIVE_BACKLOG_BYTES_MAX, LIVE_CLIENTS_MAX, LIVE_INTERVAL_MS } from "./limits.ts";

export interface LiveOptions {
  readonly clock: Clock;
  /** The next message; undefined while there is nothing to say. */
  readonly pulse: () => Promise<object | undefined>;
  /** Called with the first client; what it returns, after the last. */
  readonly onWatched: () => () => void;
  readonly warn: (message: string) => void;
}

export class Live {
  readonly #options: LiveOptions;
  readonly #clients = new Set<ServerResponse>();
  #timer: Timer | undefined;
  #release: (() => void) | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** False when there are enough. */
  add(response: ServerResponse, headers: Readonly<Record<string, string>>): boolean {
    if (this.#clients.size >= LIVE_CLIENTS_MAX) return false;
    response.writeHead(200, { ...headers, "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write("retry: 2000\n\n");
    this.#clients.add(response);
    this.#release ??= this.#options.onWatched();
    response.on("close", () => this.#remove(response));
    this.#schedule(0);
    return true;
  }

  close(): void {
    this.#timer?.cancel();
    this.#release?.();
    for (const client of this.#clients) client.end();
    this.#clients.clear();
  }

  #remove(response: ServerResponse): void {
    this.#clients.delete(response);
    if (this.#clients.size > 0) return;
    this.#release?.();
    this.#release = undefined;
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(delayMs, () => void this.#send());
  }

  async #send(): Promise<void> {
    try {
      const pulse = await this.#options.pulse();
      if (pulse !== undefined) this.#tell(`data: ${JSON.stringify(pulse)}\n\n`);
    } catch (error) {
      this.#options.warn(`the page's figures: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (this.#clients.size > 0) this.#schedule(LIVE_INTERVAL_MS);
  }

  #tell(message: string): void {
    for (const client of this.#clients) {
      if (client.writableLength > LIVE_BACKLOG_BYTES_MAX) client.destroy();
      else client.write(message);
    }
  }
}
