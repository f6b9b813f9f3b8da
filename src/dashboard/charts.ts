// How a service fared over time: requests, failures, latency, by version and by caller. Values in, values out.

import type { MeshSnapshot } from "../model/snapshot.ts";
import type { Line, SeriesQuery, TrafficView } from "../traffic/query.ts";
import { CHART_MINUTES_MAX, CHART_POINTS_MAX } from "./limits.ts";
import { idOf } from "./pulse.ts";
import type { Chart, ChartLine, ServiceCharts } from "./shapes.ts";

interface Asked {
  readonly id: string;
  readonly nowMs: number;
  readonly query: URLSearchParams;
}

const MINUTES_DEFAULT = 10;
const STEP_SECONDS_MIN = 5;

export function chartsOf(traffic: TrafficView, snapshot: MeshSnapshot, asked: Asked): ServiceCharts | undefined {
  const service = [...snapshot.services.values()].find((each) => idOf(each) === asked.id);
  if (service === undefined) return undefined;
  const minutes = Math.min(CHART_MINUTES_MAX, Math.max(1, Number(asked.query.get("minutes")) || MINUTES_DEFAULT));
  const stepSeconds = Math.max(STEP_SECONDS_MIN, Math.ceil((minutes * 60) / CHART_POINTS_MAX));
  // Steps stand still while time goes on: a chart that is asked for again has the same ones, and a few more.
  const fromMs = Math.floor((asked.nowMs - minutes * 60_000) / (stepSeconds * 1_000)) * stepSeconds * 1_000;
  const filter = { service: service.host };
  const ask = (query: Omit<SeriesQuery, "filter">): readonly Line[] =>
    [...traffic.series({ ...query, filter }, fromMs, stepSeconds)].sort((a, b) => (a.name < b.name ? -1 : 1));
  const byVersion = ask({ measure: "requestsPerSecond", by: "version" });
  const timesMs = (byVersion[0]?.points ?? []).map(({ atMs }) => atMs);
  const charts: readonly Chart[] = [
    { title: "Requests by version", unit: "rate", lines: byVersion.map((line) => valuesOf(line)) },
    {
      title: "Errors by version",
      unit: "percent",
      lines: ask({ measure: "failureShare", by: "version" }).map((line) => valuesOf(line, line.name, 100)),
    },
    {
      title: "Latency",
      unit: "milliseconds",
      lines: (["p50Ms", "p90Ms", "p99Ms"] as const).flatMap((measure) =>
        ask({ measure }).map((line) => valuesOf(line, measure.replace("Ms", ""))),
      ),
    },
    {
      title: "Requests by caller",
      unit: "rate",
      lines: ask({ measure: "requestsPerSecond", by: "source" }).map((line) => valuesOf(line)),
    },
  ];
  const sum = traffic.service(service.host, minutes * 60);
  return { timesMs, charts, requests: sum?.requests ?? 0, failures: sum?.failures ?? 0 };
}

function valuesOf({ name, points }: Line, called = name, factor = 1): ChartLine {
  return { name: called, values: points.map(({ value }) => (value === undefined ? null : value * factor)) };
}
