// One service over time.

import { signal } from "@preact/signals";
import type { ServiceCharts } from "../../../src/dashboard/shapes.ts";
import { useAnswer } from "../fetch.ts";
import { count } from "../format.ts";
import { pulse } from "../live.ts";
import { Chart } from "../parts/chart.tsx";
import { Choice } from "../parts/controls.tsx";
import { Nothing, Show } from "../parts/state.tsx";
import { goTo, hrefOf, route } from "../route.ts";

const minutes = signal(10);
const CHOICES = [5, 10, 30, 120];

export function MetricsView() {
  const [namespace, name] = route.value.rest;
  const services = (pulse.value?.nodes ?? []).filter(({ kind }) => kind === "service" || kind === "external");
  const busiest = [...services].sort((a, b) => inbound(b.id) - inbound(a.id))[0];
  const chosen = namespace !== undefined && name !== undefined ? `${namespace}/${name}` : busiest?.id;
  return (
    <div class="view">
      <div class="head">
        <h1>Metrics</h1>
        <div class="controls">
          <label>
            <span class="unseen">Service</span>
            <select value={chosen} onChange={(event) => goTo(hrefOf("metrics", event.currentTarget.value))}>
              {services.map(({ id }) => (
                <option key={id} value={id}>
                  {id}
                </option>
              ))}
            </select>
          </label>
          <Choice
            label="Time"
            value={minutes}
            options={CHOICES}
            words={(each) => (each < 60 ? `${each} min` : `${each / 60} h`)}
          />
        </div>
      </div>
      {chosen === undefined ? <Nothing>There is no service yet.</Nothing> : <Charts key={chosen} id={chosen} />}
    </div>
  );
}

function inbound(id: string): number {
  return (pulse.value?.edges ?? []).filter(({ to }) => to === id).reduce((sum, { rate }) => sum + rate, 0);
}

function Charts({ id }: { readonly id: string }) {
  const path = id.split("/").map(encodeURIComponent).join("/");
  const answer = useAnswer<ServiceCharts>(`/api/metrics/${path}?minutes=${minutes.value}`, 4_000);
  return (
    <Show loaded={answer}>
      {({ requests, failures, ...all }) => {
        const { charts, timesMs } = withoutPast(all);
        return (
          <>
            <p class="summary">{`${count(requests, "request")}, ${count(failures, "error")} in the last ${minutes.value} minutes`}</p>
            <div class="charts">
              {charts.map((chart) => (
                <Chart key={chart.title} chart={chart} timesMs={timesMs} />
              ))}
            </div>
          </>
        );
      }}
    </Show>
  );
}

/** Of a young cluster the time before it is left out. */
function withoutPast({
  charts,
  timesMs,
}: Pick<ServiceCharts, "charts" | "timesMs">): Pick<ServiceCharts, "charts" | "timesMs"> {
  const lines = charts.flatMap((chart) => chart.lines);
  const first = timesMs.findIndex((_ms, index) => lines.some(({ values }) => (values[index] ?? null) !== null));
  const begin = Math.max(0, Math.min(first, timesMs.length - POINTS_MIN));
  return {
    timesMs: timesMs.slice(begin),
    charts: charts.map((chart) => ({
      ...chart,
      lines: chart.lines.map(({ name, values }) => ({ name, values: values.slice(begin) })),
    })),
  };
}

const POINTS_MIN = 12;
