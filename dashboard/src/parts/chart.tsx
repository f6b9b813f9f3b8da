// Lines over time. What a chart shows is also told in words: the last value of each line stands in its legend.

import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Chart as ChartShape } from "../../../src/dashboard/shapes.ts";
import { milliseconds, percent, rate } from "../format.ts";
import { shownTheme } from "../theme.ts";
import { Nothing } from "./state.tsx";

const FORMATS: Readonly<Record<ChartShape["unit"], (value: number) => string>> = {
  rate,
  percent,
  milliseconds,
};

const COLOURS = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"];
const HEIGHT = 190;
/** More lines than colours say nothing. */
const LINES_MAX = COLOURS.length;

interface Props {
  readonly chart: ChartShape;
  readonly timesMs: readonly number[];
}

export function Chart({ chart, timesMs }: Props) {
  const lines = chart.lines.slice(0, LINES_MAX);
  return (
    <figure class="chart">
      <figcaption>
        <h3>{chart.title}</h3>
        <ul class="legend">
          {lines.map(({ name, values }, index) => (
            <li key={name} class={`key line-${index + 1}`}>
              {name === "" ? "all" : name} <strong>{lastOf(values, FORMATS[chart.unit])}</strong>
            </li>
          ))}
        </ul>
      </figcaption>
      {lines.length === 0 ? (
        <Nothing>Nothing was counted in this time.</Nothing>
      ) : (
        <Plot chart={chart} timesMs={timesMs} />
      )}
    </figure>
  );
}

function lastOf(values: readonly (number | null)[], format: (value: number) => string): string {
  const last = values.findLast((value) => value !== null);
  return last === undefined || last === null ? "–" : format(last);
}

function Plot({ chart, timesMs }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const names = chart.lines.map(({ name }) => name).join("\n");
  const data = dataOf(chart, timesMs);
  useEffect(() => {
    const element = frame.current;
    if (element === null) return;
    // Colours are read when the chart is drawn: another theme needs another chart.
    const forget = effect(() => {
      shownTheme.value;
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(chart, element), data, element);
    });
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      forget();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [names]);
  useEffect(() => plot.current?.setData(data), [chart, timesMs]);
  return <div ref={frame} class="plot" />;
}

function dataOf({ lines }: ChartShape, timesMs: readonly number[]): uPlot.AlignedData {
  const seconds = timesMs.map((ms) => ms / 1_000);
  return [
    seconds,
    ...lines.slice(0, LINES_MAX).map(({ values }) => timesMs.map((_ms, index) => values[index] ?? null)),
  ];
}

function optionsOf({ lines, unit }: ChartShape, element: HTMLElement): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name);
  const axis = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 },
    font: "11px system-ui, sans-serif",
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [
      { ...axis, size: 30, values: (_plot, ticks) => ticks.map(clock) },
      { ...axis, size: 62, values: (_plot, ticks) => ticks.map((value) => FORMATS[unit](value)) },
    ],
    series: [
      {},
      ...lines.slice(0, LINES_MAX).map(({ name }, index) => ({
        label: name,
        stroke: colour(COLOURS[index] ?? "--accent"),
        width: 1.75,
        // While nobody looks the proxies are asked less often than a step is long.
        spanGaps: true,
        points: { show: false },
      })),
    ],
  };
}

function clock(seconds: number): string {
  return new Date(seconds * 1_000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
