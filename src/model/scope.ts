// Which resources take part in the mesh, and what MeshConfig says for those that say nothing: discoverySelectors, default exportTo.

import { matchesSelector } from "../api/kubernetes/selector-match.ts";
import { VersionedMap } from "../base/versioned-map.ts";
import { resourceNames } from "../ingest/kinds.ts";
import type { ResourceName, ResourceSet, ResourceTypes } from "../ingest/resources.ts";
import type { MeshConfig } from "./mesh-config.ts";

export interface Scope {
  /** What the sources have. */
  readonly raw: ResourceSet;
  /** What the mesh is made from; maps and objects stay the same values while those of `raw` do. */
  readonly resources: ResourceSet;
  /** What the two differ by. */
  readonly key: string;
}

const EXPORT_TO = "networking.istio.io/exportTo";
/** Of these all count, whatever their namespace. */
const WHOLE: ReadonlySet<ResourceName> = new Set<ResourceName>(["namespaces", "nodes", "meshConfigs", "keptForms"]);

const EXPORTED: ReadonlySet<ResourceName> = new Set<ResourceName>([
  "services",
  "serviceEntries",
  "virtualServices",
  "destinationRules",
]);

export function scopeOf(raw: ResourceSet, mesh: MeshConfig, before?: Scope): Scope {
  const selected = selectedNamespaces(raw, mesh);
  const { defaultServiceExportTo, defaultVirtualServiceExportTo, defaultDestinationRuleExportTo } = mesh.settings;
  const defaults = [defaultServiceExportTo, defaultVirtualServiceExportTo, defaultDestinationRuleExportTo];
  if (selected === undefined && defaults.every((each) => each === undefined)) return { raw, resources: raw, key: "" };
  const key = JSON.stringify([selected === undefined ? null : [...selected].sort(), defaults]);
  const narrowing = new Narrowing(raw, selected, before?.key === key ? before : undefined);
  const services = defaultServiceExportTo;
  const rest = resourceNames().filter((name) => !WHOLE.has(name) && !EXPORTED.has(name));
  const narrowed = rest.map((name) => [name, narrowing.take(name, (object) => object)]);
  const resources: ResourceSet = {
    ...raw,
    ...Object.fromEntries(narrowed),
    services: narrowing.take("services", (each) => exported(each, services)),
    serviceEntries: narrowing.take("serviceEntries", (each) => specExported(each, services)),
    virtualServices: narrowing.take("virtualServices", (each) => specExported(each, defaultVirtualServiceExportTo)),
    destinationRules: narrowing.take("destinationRules", (each) => specExported(each, defaultDestinationRuleExportTo)),
  };
  return { raw, resources, key };
}

/** Undefined: all. The root namespace always takes part, since it holds what is meant for all. */
function selectedNamespaces({ namespaces }: ResourceSet, mesh: MeshConfig): ReadonlySet<string> | undefined {
  const selectors = mesh.settings.discoverySelectors;
  if (selectors === undefined || selectors.length === 0) return undefined;
  const chosen = [...namespaces.values()].filter(({ metadata }) =>
    selectors.some((selector) => matchesSelector(selector, metadata.labels)),
  );
  return new Set([mesh.rootNamespace, ...chosen.map(({ metadata }) => metadata.name)]);
}

class Narrowing {
  readonly #raw: ResourceSet;
  readonly #selected: ReadonlySet<string> | undefined;
  readonly #before: Scope | undefined;

  constructor(raw: ResourceSet, selected: ReadonlySet<string> | undefined, before: Scope | undefined) {
    this.#raw = raw;
    this.#selected = selected;
    this.#before = before;
  }

  take<K extends ResourceName>(
    name: K,
    fill: (object: ResourceTypes[K]) => ResourceTypes[K],
  ): ReadonlyMap<string, ResourceTypes[K]> {
    const raw: ReadonlyMap<string, ResourceTypes[K]> = this.#raw[name];
    const older: ReadonlyMap<string, ResourceTypes[K]> | undefined = this.#before?.raw[name];
    const made: ReadonlyMap<string, ResourceTypes[K]> | undefined = this.#before?.resources[name];
    const changes = VersionedMap.changes(older ?? new Map(), raw).map((key) => {
      const object = raw.get(key);
      const selected = this.#selected?.has(key.slice(0, key.indexOf("/"))) !== false;
      return [key, object !== undefined && selected ? fill(object) : undefined] as const;
    });
    return VersionedMap.of(made ?? new Map()).with(changes);
  }
}

function exported<T extends ResourceTypes["services"]>(service: T, exportTo: readonly string[] | undefined): T {
  const { metadata } = service;
  if (exportTo === undefined || metadata.annotations?.[EXPORT_TO] !== undefined) return service;
  const annotations = { ...metadata.annotations, [EXPORT_TO]: exportTo.join(",") };
  return { ...service, metadata: { ...metadata, annotations } };
}

function specExported<T extends { readonly spec: { exportTo?: string[] } }>(
  object: T,
  exportTo: readonly string[] | undefined,
): T {
  if (exportTo === undefined || (object.spec.exportTo ?? []).length > 0) return object;
  return { ...object, spec: { ...object.spec, exportTo: [...exportTo] } };
}
