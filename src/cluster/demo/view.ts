// The demo's picture: figures to lines of text. Pure, so that a test can read it.

import type { Figures, PodFigure, Split } from "./figures.ts";
import { CALLERS, mayCall, SERVICES } from "./shop.ts";

export type Colour = "bold" | "dim" | "green" | "red" | "yellow" | "cyan";
export type Paint = (colour: Colour, text: string) => string;

export interface ViewFrame {
  readonly mode: "transparent" | "explicit";
  readonly modeReason: string;
  readonly nowMs: number;
  readonly startedMs: number;
  /** Weight of v1 among everybody who is no beta user, in percent; undefined while unknown. */
  readonly wantedV1: number | undefined;
  readonly commands: readonly string[];
}

const BAR_WIDTH = 40;
const NAME_WIDTH = 28;
const CELL_WIDTH = 13;

export function drawView(figures: Figures, frame: ViewFrame, paint: Paint): readonly string[] {
  const up = clock(frame.nowMs - frame.startedMs);
  return [
    `${paint("bold", " weft demo")}   ${frame.mode} mode, up ${up}`,
    paint("dim", ` ${frame.modeReason}`),
    "",
    ...drawPods(figures, frame, paint),
    "",
    ...drawCalls(figures, paint),
    "",
    ...drawSplit(figures, frame.wantedV1, paint),
    "",
    ...drawTraffic(figures, paint),
    "",
    paint("bold", " TRY NEXT, in another terminal"),
    ...frame.commands.map((command) => `   ${command.startsWith("#") ? paint("dim", command) : command}`),
    "",
    paint("dim", " Ctrl-C stops everything."),
  ];
}

/** What is said now and then where there is no terminal. */
export function summaryLine(figures: Figures, frame: ViewFrame): string {
  const pods = [...figures.pods.values()];
  const ready = pods.filter(isReady).length;
  const split = shares(figures.recentSplit);
  const latency = figures.percentile(0.5);
  const parts = [
    `up ${clock(frame.nowMs - frame.startedMs)}`,
    `pods ${ready}/${pods.length} ready`,
    `${figures.requestsPerSecond.toFixed(1)} req/s`,
    latency === undefined
      ? "no answer yet"
      : `p50 ${milliseconds(latency)} p99 ${milliseconds(figures.percentile(0.99))}`,
    `errors ${figures.totalErrors} of ${figures.totalRequests}`,
    split === undefined ? "no split yet" : `api v1 ${split.v1.toFixed(0)} % v2 ${split.v2.toFixed(0)} %`,
    `ejected ${figures.ejections.active}`,
  ];
  return parts.join(", ");
}

function drawPods(figures: Figures, frame: ViewFrame, paint: Paint): readonly string[] {
  const header = ` ${"PODS".padEnd(NAME_WIDTH)}READY  RESTARTS  CERTIFICATE`;
  const pods = [...figures.pods.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const lines = pods.map((pod) => {
    const dot = isReady(pod) ? paint("green", "●") : paint("yellow", "○");
    const certificate = figures.certificates.get(pod.name);
    const identity =
      certificate === undefined
        ? paint("dim", pod.phase === "Running" ? "none seen yet" : pod.phase)
        : `${certificate.spiffe.replace(/^spiffe:\/\/[^/]*\//, "")}, ${clock(frame.nowMs - certificate.issuedMs)} old`;
    const ready = `${pod.ready}/${pod.containers}`;
    return ` ${dot} ${pod.name.slice(0, NAME_WIDTH - 3).padEnd(NAME_WIDTH - 2)}${ready.padEnd(7)}${String(pod.restarts).padEnd(10)}${identity}`;
  });
  return [paint("bold", header), ...(lines.length === 0 ? [paint("dim", "   none yet")] : lines)];
}

function drawCalls(figures: Figures, paint: Paint): readonly string[] {
  const header = ` ${"WHO MAY CALL WHOM".padEnd(NAME_WIDTH)}${SERVICES.map((name) => name.padEnd(CELL_WIDTH)).join("")}`;
  const rows = CALLERS.map((from) => {
    const cells = SERVICES.map((to) => {
      if (from === to) return paint("dim", "·".padEnd(CELL_WIDTH));
      return statusCell(figures.call(from, to), mayCall(from, to), paint);
    });
    return `   ${from.padEnd(NAME_WIDTH - 2)}${cells.join("")}`;
  });
  const plain = SERVICES.map((to) => {
    const seen = figures.plaintext.get(to);
    const text = (seen === "refused" ? "no  refused" : (seen ?? "…")).padEnd(CELL_WIDTH);
    return seen === "refused" ? paint("cyan", text) : seen === "answered" ? paint("red", text) : paint("dim", text);
  });
  return [paint("bold", header), ...rows, `   ${"no certificate".padEnd(NAME_WIDTH - 2)}${plain.join("")}`];
}

/** Red only where what happens is not what the policies say at first; the user may have changed them. */
function statusCell(status: number | undefined, allowed: boolean, paint: Paint): string {
  if (status === undefined) return paint("dim", "…".padEnd(CELL_WIDTH));
  const word = status === 403 ? "no" : status >= 200 && status < 300 ? "yes" : "?";
  const text = `${word.padEnd(4)}${status === 0 ? "no answer" : status}`.padEnd(CELL_WIDTH);
  if (allowed) return paint(word === "yes" ? "green" : "red", text);
  return paint(word === "no" ? "cyan" : "yellow", text);
}

function drawSplit(figures: Figures, wantedV1: number | undefined, paint: Paint): readonly string[] {
  const split = shares(figures.recentSplit);
  const title = paint("bold", ` ${"CANARY of api".padEnd(NAME_WIDTH)}`);
  if (split === undefined) return [`${title}${paint("dim", "no requests yet")}`];
  const filled = Math.round((split.v1 / 100) * BAR_WIDTH);
  const bar = paint("green", "█".repeat(filled)) + paint("yellow", "█".repeat(BAR_WIDTH - filled));
  const wanted = wantedV1 === undefined ? "" : ` (wanted ${wantedV1}/${100 - wantedV1})`;
  const { v1, v2, beta } = figures.totalSplit;
  return [
    `${title}${bar}`,
    `   ${"".padEnd(NAME_WIDTH - 2)}v1 ${split.v1.toFixed(1)} %   v2 ${split.v2.toFixed(1)} %${wanted}`,
    paint("dim", `   ${"".padEnd(NAME_WIDTH - 2)}since start: v1 ${v1}, v2 ${v2}, beta users to v2 ${beta}`),
  ];
}

function drawTraffic(figures: Figures, paint: Paint): readonly string[] {
  const errors = figures.recentErrors;
  const ejected = figures.ejections.active;
  const rate = `${figures.requestsPerSecond.toFixed(1)} req/s`;
  const latency = `p50 ${milliseconds(figures.percentile(0.5))}   p99 ${milliseconds(figures.percentile(0.99))}`;
  const faults = [
    paint(errors === 0 ? "green" : "red", `errors ${errors} (${figures.totalErrors} since start)`),
    paint(ejected === 0 ? "green" : "yellow", `ejected ${ejected} (${figures.ejections.total} since start)`),
  ].join("   ");
  const indent = " ".repeat(NAME_WIDTH + 1);
  const last = figures.lastError === undefined || errors === 0 ? [] : [paint("dim", `   last: ${figures.lastError}`)];
  return [`${paint("bold", ` ${"TRAFFIC".padEnd(NAME_WIDTH)}`)}${rate}   ${latency}`, `${indent}${faults}`, ...last];
}

function isReady(pod: PodFigure): boolean {
  return pod.containers > 0 && pod.ready === pod.containers;
}

function shares(split: Split): { readonly v1: number; readonly v2: number } | undefined {
  const total = split.v1 + split.v2;
  return total === 0 ? undefined : { v1: (split.v1 / total) * 100, v2: (split.v2 / total) * 100 };
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? "…" : `${value.toFixed(1)} ms`;
}

/** `42 s`, `3 min`, `2 h`. */
function clock(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3_600)} h`;
}
