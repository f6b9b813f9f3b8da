// The xDS stream with ears: the log tells when it comes and goes and what was refused, and readiness knows that it was there.

import type { Log } from "../observe/log.ts";
import type { ResourceHandler, ResourceSource, StreamState } from "../proxy/subscribe/source.ts";

export interface WatchedSource {
  readonly source: ResourceSource;
  wasConnected(): boolean;
}

export function watchSource(source: ResourceSource, target: string, log: Log): WatchedSource {
  let connected = false;
  const onState = (state: StreamState) => {
    if (state.kind === "connected") {
      connected = true;
      log.info(`configuration stream to ${target} is up`);
    }
    if (state.kind === "disconnected") {
      const rest = connected ? "; the last configuration stays in force" : "";
      log.warning(
        `no configuration stream: ${state.cause}${rest}; trying again in ${(state.retryInMs / 1000).toFixed(1)} s`,
      );
    }
  };
  const listen = (handler: ResourceHandler): ResourceHandler => ({
    onUpdate(update) {
      const refusals = handler.onUpdate(update);
      log.debug(`${update.kind}: ${update.changed.length} changed, ${update.removed.length} removed`);
      for (const refusal of refusals) {
        log.warning(
          `refused ${update.kind} ${refusal.resource}: ${refusal.path === "" ? "" : `${refusal.path}: `}${refusal.message}`,
        );
      }
      return refusals;
    },
    onState(state) {
      onState(state);
      handler.onState(state);
    },
  });
  return {
    source: {
      listeners: source.listeners,
      start: (handler) => source.start(listen(handler)),
      setWanted: (kind, names) => source.setWanted(kind, names),
      stop: () => source.stop(),
    },
    wasConnected: () => connected,
  };
}
