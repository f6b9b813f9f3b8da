// The kinds that an API serves, found by what a URL or a manifest says.

import { assert } from "../base/assert.ts";
import type { Kind } from "./kind.ts";

export interface Registry {
  readonly kinds: readonly Kind[];
  /** By the words of a URL. */
  byPlural(group: string, version: string, plural: string): Kind | undefined;
  /** By the words of a manifest: `apps/v1`, `Deployment`. */
  byApiVersion(apiVersion: string, kind: string): Kind | undefined;
  /** By what a person types: plural, singular, short name or kind, with or without the group. */
  byAnyName(name: string): Kind | undefined;
}

export function makeRegistry(kinds: readonly Kind[]): Registry {
  const plurals = new Map<string, Kind>();
  const manifests = new Map<string, Kind>();
  const names = new Map<string, Kind>();
  for (const kind of kinds) {
    for (const version of kind.versions) {
      const key = `${kind.group}/${version}/${kind.plural}`;
      assert(!plurals.has(key), `two kinds are called ${key}`);
      plurals.set(key, kind);
      manifests.set(`${kind.group === "" ? version : `${kind.group}/${version}`} ${kind.kind}`, kind);
    }
    for (const name of [kind.plural, kind.singular, kind.kind.toLowerCase(), ...kind.shortNames]) {
      if (!names.has(name)) names.set(name, kind);
      names.set(`${name}.${kind.group}`, kind);
    }
  }
  return {
    kinds,
    byPlural: (group, version, plural) => plurals.get(`${group}/${version}/${plural}`),
    byApiVersion: (apiVersion, kind) => manifests.get(`${apiVersion} ${kind}`),
    byAnyName: (name) => names.get(name.toLowerCase()),
  };
}
