// Reads what a proxy runs from its /config_dump, weft's or Envoy's or a file of either: names in both spellings.

import { isRecord } from "../../base/json.ts";
import { err, ok, type Result } from "../../base/result.ts";

export type Json = Readonly<Record<string, unknown>>;

export const SECTIONS = ["bootstrap", "cluster", "endpoint", "listener", "route", "secret"] as const;
export type SectionName = (typeof SECTIONS)[number];

export interface Entry {
  readonly name: string;
  /** `static`, or how far it has got: `active`, `warming`, `draining`. */
  readonly state: string;
  readonly version: string;
  /** The resource itself, with its names in lowerCamelCase. */
  readonly body: Json;
}

export interface Dump {
  readonly bootstrap: Json;
  readonly entries: Readonly<Record<Exclude<SectionName, "bootstrap">, readonly Entry[]>>;
}

export function readDump(value: unknown): Result<Dump, string> {
  const configs = isRecord(value) ? value["configs"] : undefined;
  if (!Array.isArray(configs)) return err('it has no list "configs": it is no config_dump');
  const sections = configs.filter(isRecord);
  const of = (type: string): Json => {
    const found = sections.find((section) => String(section["@type"]).endsWith(`.${type}ConfigDump`));
    return recordOf(camelCased(found ?? {}, ""));
  };
  return ok({
    bootstrap: recordOf(of("Bootstrap")["bootstrap"]),
    entries: {
      cluster: entriesOf(of("Clusters"), "cluster"),
      endpoint: entriesOf(of("Endpoints"), "endpointConfig"),
      listener: listenersOf(of("Listeners")),
      route: entriesOf(of("Routes"), "routeConfig"),
      secret: entriesOf(of("Secrets"), "secret"),
    },
  });
}

const STATES: readonly (readonly [RegExp, string])[] = [
  [/^static/, "static"],
  [/Warming/, "warming"],
  [/^dynamic/, "active"],
];

/** Of every list in the section, whatever it is called: `staticClusters`, `dynamicWarmingClusters`, … */
function entriesOf(section: Json, key: string): readonly Entry[] {
  return Object.entries(section).flatMap(([list, items]) => {
    const state = STATES.find(([pattern]) => pattern.test(list))?.[1];
    if (state === undefined || !Array.isArray(items)) return [];
    return items.filter(isRecord).map((item) => entryOf(item, key, state));
  });
}

function listenersOf(section: Json): readonly Entry[] {
  return Object.entries(section).flatMap(([list, items]) => {
    if (!Array.isArray(items)) return [];
    return items.filter(isRecord).flatMap((item) => {
      if (list === "staticListeners") return [entryOf(item, "listener", "static")];
      return (["activeState", "warmingState", "drainingState"] as const).flatMap((state) => {
        const inner = item[state];
        return isRecord(inner) ? [entryOf(inner, "listener", state.replace("State", ""))] : [];
      });
    });
  });
}

function entryOf(item: Json, key: string, state: string): Entry {
  const body = recordOf(item[key]);
  const name = textAt(body, "name") || textAt(body, "clusterName") || textAt(item, "name");
  return { name, state, version: textAt(item, "versionInfo"), body };
}

/** Where keys are data rather than names of fields. */
const FREE_FORM = new Set([
  "filterMetadata",
  "typedFilterMetadata",
  "typedPerFilterConfig",
  "typedExtensionProtocolOptions",
  "jsonFormat",
  "policies",
  "layers",
]);

function camelCased(value: unknown, field: string): unknown {
  if (Array.isArray(value)) return value.map((each: unknown) => camelCased(each, field));
  if (!isRecord(value)) return value;
  // A node's metadata is anything; that of everything else is a message.
  const isNode = field === "metadata" && !("filter_metadata" in value || "typed_filter_metadata" in value);
  const isMap = FREE_FORM.has(field) || isNode;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const name = isMap ? key : key.replace(/_([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase());
      return [name, name === "filterMetadata" || isNode ? inner : camelCased(inner, isMap ? "" : name)];
    }),
  );
}

function recordOf(value: unknown): Json {
  return isRecord(value) ? value : {};
}

export function recordAt(value: unknown, ...keys: readonly string[]): Json {
  return recordOf(valueAt(value, ...keys));
}

export function recordsAt(value: unknown, ...keys: readonly string[]): readonly Json[] {
  const inner = valueAt(value, ...keys);
  return Array.isArray(inner) ? inner.filter(isRecord) : [];
}

export function textsAt(value: unknown, ...keys: readonly string[]): readonly string[] {
  const inner = valueAt(value, ...keys);
  return Array.isArray(inner) ? inner.map(String) : [];
}

/** Numbers as text too; empty where there is nothing. */
export function textAt(value: unknown, ...keys: readonly string[]): string {
  const inner = valueAt(value, ...keys);
  return typeof inner === "string" || typeof inner === "number" ? String(inner) : "";
}

export function valueAt(value: unknown, ...keys: readonly string[]): unknown {
  return keys.reduce<unknown>((inner, key) => (isRecord(inner) ? inner[key] : undefined), value);
}

/** Which resource of the mesh a piece was made from, as `name.namespace`: weft's metadata, or Istio's. */
export function originOf(body: unknown, kind: string): string {
  const filters = recordAt(body, "metadata", "filterMetadata");
  const own = textAt(filters, "weft.dev", "resource");
  const [, ownKind, namespace, name] = /^(\w+) ([^/]+)\/(.+)$/.exec(own) ?? [];
  if (ownKind === kind) return `${name}.${namespace}`;
  const path = textAt(filters, "istio", "config");
  const plural = kind.replace(/[A-Z]/g, (letter, at: number) => `${at === 0 ? "" : "-"}${letter.toLowerCase()}`);
  const match = new RegExp(`/namespaces/([^/]+)/${plural}/([^/]+)$`).exec(path);
  return match === null ? "" : `${match[2]}.${match[1]}`;
}
