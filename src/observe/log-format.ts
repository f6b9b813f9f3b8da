// Envoy's `--log-format`: a pattern of percent flags (spdlog's), compiled once to a function.

import { err, ok, type Result } from "../base/result.ts";
import type { LogLevel } from "./log.ts";

export interface LogEntry {
  readonly wallMs: number;
  readonly level: LogLevel;
  readonly scope: string;
  /** The message with its fields, on one line. */
  readonly text: string;
}

export type LogFormatter = (entry: LogEntry) => string;

type Part = (entry: LogEntry) => string;

const iso = (from: number, to: number): Part => {
  return ({ wallMs }) => new Date(wallMs).toISOString().slice(from, to);
};

/** Times are UTC. */
const FLAGS: Readonly<Record<string, Part>> = {
  v: ({ text }) => text,
  _: ({ text }) => text,
  l: ({ level }) => level,
  L: ({ level }) => level.charAt(0).toUpperCase(),
  n: ({ scope }) => scope,
  t: () => "0",
  P: () => String(process.pid),
  Y: iso(0, 4),
  m: iso(5, 7),
  d: iso(8, 10),
  H: iso(11, 13),
  M: iso(14, 16),
  S: iso(17, 19),
  e: iso(20, 23),
  T: iso(11, 19),
  X: iso(11, 19),
  F: ({ wallMs }) => `${new Date(wallMs).toISOString().slice(20, 23)}000000`,
  f: ({ wallMs }) => `${new Date(wallMs).toISOString().slice(20, 23)}000`,
  E: ({ wallMs }) => String(Math.floor(wallMs / 1000)),
  z: () => "+00:00",
  // Where colour begins and ends: there is none.
  "^": () => "",
  $: () => "",
  "%": () => "%",
};

/** The error names the flag that isn't known. */
export function compileLogFormat(pattern: string): Result<LogFormatter, string> {
  const parts: (string | Part)[] = [];
  let literal = "";
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at);
    if (character !== "%") {
      literal += character;
      continue;
    }
    at += 1;
    const flag = pattern.charAt(at);
    const part = FLAGS[flag];
    if (part === undefined) {
      const known = Object.keys(FLAGS).join(" %");
      return err(`the log format has %${flag}, which weft does not know; it knows %${known}`);
    }
    parts.push(literal, part);
    literal = "";
  }
  parts.push(literal, "\n");
  return ok((entry) => parts.map((part) => (typeof part === "string" ? part : part(entry))).join(""));
}
