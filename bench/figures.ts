// What is measured of a contender, each with its unit in its name.

export const METRICS = [
  "cpuMicrosPerRequest",
  "requestsPerSecond",
  "p50Ms",
  "p99Ms",
  "p50At500Ms",
  "p99At500Ms",
  "p50At1000Ms",
  "p99At1000Ms",
  "p50At5000Ms",
  "p99At5000Ms",
  "p50AddedAt500Ms",
  "p99AddedAt500Ms",
  "p50AddedAt1000Ms",
  "p99AddedAt1000Ms",
  "p50AddedAt5000Ms",
  "p99AddedAt5000Ms",
  "cpuMicrosPerHandshake",
  "handshakesPerSecond",
  "resumedShare",
  "gbitPerSecond",
  "cpuMicrosPerMegabyte",
  "readyMs",
  "idlePrivateMb",
  "loadedPrivateMb",
  "idleResidentMb",
  "loadedResidentMb",
  "shedPerSecond",
  "failures",
  "survived",
] as const;

export type Metric = (typeof METRICS)[number];
export type Figures = Readonly<Partial<Record<Metric, number>>>;

export const CONTENDERS = ["weft", "envoy", "nginx", "bun"] as const;
export type ContenderName = (typeof CONTENDERS)[number];

/** Metric by metric, over those that every run has. */
export function medians(runs: readonly Figures[]): Figures {
  return build((metric) => {
    const values = runs.flatMap((run) => run[metric] ?? []);
    return values.length === 0 ? undefined : median(values);
  });
}

/** Run by run, then the median of those. */
export function ratios(left: readonly Figures[], right: readonly Figures[]): Figures {
  return medians(
    left.map((run, index) =>
      build((metric) => {
        const above = run[metric];
        const below = right[index]?.[metric];
        return above === undefined || below === undefined || below === 0 ? undefined : above / below;
      }),
    ),
  );
}

function build(value: (metric: Metric) => number | undefined): Figures {
  return Object.fromEntries(
    METRICS.flatMap((metric) => {
      const found = value(metric);
      return found === undefined ? [] : [[metric, found]];
    }),
  );
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
