// /ready, /server_info, /memory, /listeners, /runtime: what runs, for how long, and where it listens.

import { memoryUsage, version as nodeVersion } from "node:process";
import { getHeapStatistics } from "node:v8";
import { Node } from "../../proto/gen/envoy/config/core/v3/base.ts";
import { type Answer, addressJson, type Endpoint, json, text } from "./answer.ts";

/** Envoy's form: revision / version / state of the sources / build type / TLS library. */
export const VERSION = `weft/0.1.0/Clean/RELEASE/node-${nodeVersion}`;

export const readyEndpoint: Endpoint = {
  path: "/ready",
  help: "print server state, return 200 if LIVE, otherwise return 503",
  mutates: false,
  run({ view }): Answer {
    const state = view.state();
    return text(`${state}\n`, state === "LIVE" ? 200 : 503);
  },
};

export const serverInfoEndpoint: Endpoint = {
  path: "/server_info",
  help: "print server version/status information",
  mutates: false,
  async run({ view, wallMs }): Promise<Answer> {
    // Drags in every message type, so only when asked for.
    const { toEnvoyJson } = await import("../../proto/json.ts");
    const uptime = `${Math.max(0, Math.floor((wallMs() - view.startedAtMs) / 1000))}s`;
    return json({
      version: VERSION,
      state: view.state(),
      hot_restart_version: "disabled",
      hot_restart_initializing: false,
      command_line_options: view.commandLine,
      uptime_current_epoch: uptime,
      uptime_all_epochs: uptime,
      node: toEnvoyJson(Node, view.bootstrap.node ?? Node.fromPartial({})),
    });
  },
};

export const memoryEndpoint: Endpoint = {
  path: "/memory",
  help: "print current allocation/heap usage",
  mutates: false,
  run(): Answer {
    const usage = memoryUsage();
    const heap = getHeapStatistics();
    return json({
      allocated: String(usage.heapUsed + usage.external),
      heap_size: String(usage.heapTotal),
      pageheap_unmapped: String(Math.max(0, heap.total_heap_size - heap.total_physical_size)),
      pageheap_free: String(Math.max(0, usage.heapTotal - usage.heapUsed)),
      total_thread_cache: "0",
      total_physical_bytes: String(usage.rss),
    });
  },
};

export const listenersEndpoint: Endpoint = {
  path: "/listeners",
  help: "print listener info",
  mutates: false,
  run({ view }, query): Answer {
    const listeners = view.listeners().filter((listener) => !listener.draining);
    if (query.get("format") === "json") {
      const statuses = listeners.map(({ name, address }) => ({ name, local_address: addressJson(address) }));
      return json({ listener_statuses: statuses });
    }
    return text(listeners.map(({ name, address }) => `${name}::${address}\n`).join(""));
  },
};

export const runtimeEndpoint: Endpoint = {
  path: "/runtime",
  help: "print runtime values",
  mutates: false,
  run({ view }): Answer {
    const { layers, entries } = view.runtime();
    const shown = [...entries].map(([key, { layerValues, finalValue }]) => [
      key,
      { layer_values: layerValues, final_value: finalValue },
    ]);
    return json({ entries: Object.fromEntries(shown), layers });
  },
};
