// What the agent asks Envoy's admin interface.

import { err, ok, type Result } from "../base/result.ts";
import { ask } from "./http-get.ts";
import { ADMIN_BYTES_MAX, ADMIN_TIMEOUT_MS } from "./limits.ts";

export class EnvoyAdmin {
  readonly #at: { readonly host: string; readonly port: number };

  constructor(at: { readonly host: string; readonly port: number }) {
    this.#at = at;
  }

  prometheus(): Promise<Result<string, string>> {
    return this.#ask("/stats/prometheus");
  }

  /** What Envoy still waits for, in words; undefined when it serves. */
  async notReady(): Promise<string | undefined> {
    const stats = await this.#stats(
      "^(cluster_manager\\.cds\\.update_success|listener_manager\\.lds\\.update_success|listener_manager\\.workers_started|server\\.state)$",
    );
    if (!stats.ok) return `Envoy's admin interface: ${stats.error}`;
    const value = (name: string) => stats.value.get(name) ?? 0;
    if (value("cluster_manager.cds.update_success") === 0)
      return "Envoy has no clusters (CDS) from the control plane yet";
    if (value("listener_manager.lds.update_success") === 0)
      return "Envoy has no listeners (LDS) from the control plane yet";
    if (value("listener_manager.workers_started") === 0) return "Envoy's workers have not started";
    const state = value("server.state");
    return state === 0 ? undefined : `Envoy is ${STATES[state] ?? `in state ${state}`}`;
  }

  /** Answers to what comes in say that their connection ends. */
  async drain(): Promise<Result<void, string>> {
    const asked = await this.#ask("/drain_listeners?inboundonly&graceful&skip_exit", "POST");
    return asked.ok ? ok(undefined) : asked;
  }

  /** Downstream connections that are still open; those of the admin interface don't count. */
  async connections(): Promise<Result<number, string>> {
    const stats = await this.#stats("^listener\\..*\\.downstream_cx_active$");
    if (!stats.ok) return stats;
    let open = 0;
    for (const [name, value] of stats.value) {
      if (!name.startsWith("listener.admin.") && !name.includes(".worker_")) open += value;
    }
    return ok(open);
  }

  async #stats(pattern: string): Promise<Result<ReadonlyMap<string, number>, string>> {
    const page = await this.#ask(`/stats?filter=${encodeURIComponent(pattern)}`);
    if (!page.ok) return page;
    const lines = page.value.split("\n").map((line) => (line.lastIndexOf(": ") === -1 ? ["", ""] : split(line)));
    return ok(new Map(lines.map(([name = "", value = ""]) => [name, Number(value)])));
  }

  async #ask(path: string, method: "GET" | "POST" = "GET"): Promise<Result<string, string>> {
    const answer = await ask({ ...this.#at, path, method, timeoutMs: ADMIN_TIMEOUT_MS, bytesMax: ADMIN_BYTES_MAX });
    return answer.ok ? answer : err(`${this.#at.host}:${this.#at.port}${path.split("?")[0]}: ${answer.error}`);
  }
}

/** `server.state`. */
const STATES = ["live", "draining", "waiting for its first configuration", "initializing"];

function split(line: string): readonly string[] {
  const at = line.lastIndexOf(": ");
  return [line.slice(0, at), line.slice(at + 2)];
}
