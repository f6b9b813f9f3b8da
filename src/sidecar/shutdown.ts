// When a process ends: at the first signal in order, at the second at once.

export interface Quit {
  /** Resolves with the cause. */
  readonly requested: Promise<string>;
  request(cause: string): void;
}

const KILLED = 130;

export function untilSignal(): Quit {
  let request: (cause: string) => void = () => undefined;
  const requested = new Promise<string>((resolve) => {
    request = resolve;
  });
  let signals = 0;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      signals += 1;
      if (signals > 1) process.exit(KILLED);
      request(signal);
    });
  }
  return { requested, request };
}
