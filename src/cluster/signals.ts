// Ctrl-C and SIGTERM: the first one stops with grace, a second one at once.

import { SIGNAL_ECHO_MS } from "./limits.ts";

export interface StopSignals {
  stop(): void;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export function onStopSignals(stopWithGrace: () => void, stopNow: () => void): StopSignals {
  let firstMs: number | undefined;
  const onSignal = (): void => {
    const nowMs = performance.now();
    if (firstMs === undefined) {
      firstMs = nowMs;
      stopWithGrace();
    } else if (nowMs - firstMs > SIGNAL_ECHO_MS) stopNow();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    stop: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}
