// How much of the load each priority gets, and which are in panic: Envoy's arithmetic, in whole per cents (pure).

export interface LevelCounts {
  /** Without those that are left out of every count. */
  readonly total: number;
  readonly healthy: number;
  readonly degraded: number;
  /** What availability is measured in: the same numbers, or sums of weights. */
  readonly measure: { readonly total: number; readonly healthy: number; readonly degraded: number };
}

export interface PriorityLoads {
  /** Per cent for the healthy and for the degraded hosts of each priority; together 100. */
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
  /** All hosts of the priority are taken, whatever their health. */
  readonly panic: readonly boolean[];
}

export function priorityLoads(
  levels: readonly LevelCounts[],
  options: { readonly panicPercent: number; readonly overprovisioningPercent: number },
): PriorityLoads {
  const { healthy, degraded } = availability(levels, options.overprovisioningPercent);
  const available = Math.min(100, sum(healthy) + sum(degraded));
  if (available === 0 && options.panicPercent === 0) {
    const first = levels.map((_, index) => (index === 0 ? 100 : 0));
    return { healthy: first, degraded: levels.map(() => 0), panic: levels.map(() => false) };
  }
  const panic = levels.map((level) => available < 100 && inPanic(level, options.panicPercent));
  if (panic.every((one) => one)) return totalPanic(levels, panic);
  return { ...spread(healthy, degraded, available), panic };
}

/** The same without some of them; undefined where the others have nothing. */
export function loadsWithout(
  excluded: ReadonlySet<number>,
  levels: readonly LevelCounts[],
  overprovisioningPercent: number,
): PriorityLoads | undefined {
  const all = availability(levels, overprovisioningPercent);
  const kept = (shares: readonly number[]) => shares.map((one, index) => (excluded.has(index) ? 0 : one));
  const [healthy, degraded] = [kept(all.healthy), kept(all.degraded)];
  const available = Math.min(100, sum(healthy) + sum(degraded));
  if (available === 0) return undefined;
  return { ...spread(healthy, degraded, available), panic: levels.map(() => false) };
}

/** In per cent, up to 100 for each: more hosts are there than have to be well. */
function availability(
  levels: readonly LevelCounts[],
  overprovisioningPercent: number,
): Pick<PriorityLoads, "healthy" | "degraded"> {
  const share = (part: number, whole: number) =>
    whole === 0 ? 0 : Math.min(100, Math.floor((overprovisioningPercent * part) / whole));
  return {
    healthy: levels.map(({ measure }) => share(measure.healthy, measure.total)),
    degraded: levels.map(({ measure }) => share(measure.degraded, measure.total)),
  };
}

function inPanic(level: LevelCounts, panicPercent: number): boolean {
  const percent = level.total === 0 ? 0 : (100 * (level.healthy + level.degraded)) / level.total;
  return percent < Math.min(100, panicPercent);
}

function spread(
  healthy: readonly number[],
  degraded: readonly number[],
  available: number,
): Pick<PriorityLoads, "healthy" | "degraded"> {
  const first = distribute(healthy, 100, available);
  const second = distribute(degraded, first.left, available);
  // What rounding left goes to the first that has anything.
  const place = healthy.findIndex((one) => one > 0);
  if (place !== -1) first.loads[place] = (first.loads[place] ?? 0) + second.left;
  else {
    const worse = degraded.findIndex((one) => one > 0);
    if (worse !== -1) second.loads[worse] = (second.loads[worse] ?? 0) + second.left;
  }
  return { healthy: first.loads, degraded: second.loads };
}

function distribute(
  availability: readonly number[],
  load: number,
  available: number,
): { readonly loads: number[]; readonly left: number } {
  let left = load;
  const loads = availability.map((one) => {
    const part = available === 0 ? 0 : Math.min(left, Math.floor((one * 100) / available));
    left -= part;
    return part;
  });
  return { loads, left };
}

/** Every priority is in panic: the load follows the numbers of hosts. */
function totalPanic(levels: readonly LevelCounts[], panic: readonly boolean[]): PriorityLoads {
  const hosts = levels.reduce((count, level) => count + level.total, 0);
  const loads = levels.map((level) => (hosts === 0 ? 0 : Math.floor((100 * level.total) / hosts)));
  const place = Math.max(
    0,
    levels.findIndex((level) => level.total > 0),
  );
  loads[place] = (loads[place] ?? 0) + 100 - sum(loads);
  return { healthy: loads, degraded: levels.map(() => 0), panic };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
