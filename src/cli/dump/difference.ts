// What differs between what a proxy was sent and what it runs, by path.

import { deepEqual } from "../../base/equal.ts";
import { isRecord } from "../../base/json.ts";
import { canonicalMessage } from "../../proto/proto3-json.ts";
import { type Dump, type Entry, recordsAt } from "./dump.ts";
import { endpointsOfDump } from "./endpoints.ts";

export interface Difference {
  /** `Clusters`, … */
  readonly type: string;
  readonly name: string;
  /** Empty where the whole resource is on one side only. */
  readonly path: string;
  readonly sent: unknown;
  readonly running: unknown;
}

const COMPARED = [
  { type: "Clusters", section: "cluster", url: "envoy.config.cluster.v3.Cluster" },
  { type: "Listeners", section: "listener", url: "envoy.config.listener.v3.Listener" },
  { type: "Routes", section: "route", url: "envoy.config.route.v3.RouteConfiguration" },
] as const;

export const COMPARED_TYPES = [...COMPARED.map(({ type }) => type), "Endpoints"];

export function compareDumps(sent: Dump, running: Dump): readonly Difference[] {
  const resources = COMPARED.flatMap(({ type, section, url }) => {
    const own = running.entries[section].filter(({ state }) => state !== "static" && state !== "draining");
    return compareEntries(type, url, byName(sent.entries[section]), byName(own));
  });
  return [...resources, ...compareEndpoints(sent, running)];
}

function byName(entries: readonly Entry[]): ReadonlyMap<string, Entry> {
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function compareEntries(
  type: string,
  url: string,
  sent: ReadonlyMap<string, Entry>,
  running: ReadonlyMap<string, Entry>,
): readonly Difference[] {
  return [...new Set([...sent.keys(), ...running.keys()])].sort().flatMap((name) => {
    const [left, right] = [sent.get(name), running.get(name)];
    if (left === undefined || right === undefined) {
      return [{ type, name, path: "", sent: left?.body, running: right?.body }];
    }
    return compareValues(canonical(url, left.body), canonical(url, right.body), "").map((found) => ({
      type,
      name,
      ...found,
    }));
  });
}

/** What holds a type that weft doesn't know is compared as it stands. */
function canonical(url: string, { "@type": _type, ...body }: Entry["body"]): unknown {
  const message = canonicalMessage(`type.googleapis.com/${url}`, body);
  return message.ok ? message.value : body;
}

function compareValues(
  sent: unknown,
  running: unknown,
  path: string,
): readonly Pick<Difference, "path" | "sent" | "running">[] {
  if (deepEqual(sent, running)) return [];
  if (isRecord(sent) && isRecord(running)) {
    return [...new Set([...Object.keys(sent), ...Object.keys(running)])].flatMap((key) =>
      compareValues(sent[key], running[key], path === "" ? key : `${path}.${key}`),
    );
  }
  if (Array.isArray(sent) && Array.isArray(running) && sent.length === running.length) {
    return sent.flatMap((each: unknown, i) => compareValues(each, running[i], `${path}[${i}]`));
  }
  return [{ path, sent, running }];
}

/** A proxy shows what it made of them: the addresses are what counts. */
function compareEndpoints(sent: Dump, running: Dump): readonly Difference[] {
  const left = addresses(sent);
  const right = addresses(running);
  return [...left.keys()].sort().flatMap((name) => {
    const [was, is] = [left.get(name) ?? [], right.get(name)];
    // A proxy that doesn't show its endpoints says nothing against them.
    if (right.size === 0 || deepEqual(was, is ?? [])) return [];
    return [{ type: "Endpoints", name, path: "", sent: was, running: is ?? [] }];
  });
}

function addresses({ entries }: Dump): ReadonlyMap<string, readonly string[]> {
  const assignments = entries.endpoint.filter(({ body }) => recordsAt(body, "endpoints").length > 0);
  const rows = Map.groupBy(endpointsOfDump(assignments, []), ({ cluster }) => cluster);
  return new Map([...rows].map(([name, all]) => [name, all.map(({ address, port }) => `${address}:${port}`).sort()]));
}
