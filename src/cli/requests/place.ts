// The resource that a cause names, where it stands: its line in a manifest, or what the cluster has at that path.

import { valueAt } from "../../analyze/fields.ts";
import { istioKinds } from "../../api/istio/kinds.ts";
import { kubernetesKinds } from "../../api/kubernetes/kinds.ts";
import type { KubeObject } from "../../api/object.ts";
import { makeRegistry } from "../../api/registry.ts";
import { isRecord, parseJson } from "../../base/json.ts";
import { type Manifest, readManifests } from "../../cluster/manifests.ts";
import { CommandFailure } from "../command.ts";

export interface Place {
  /** `VirtualService shop/api`. */
  readonly resource: string;
  /** `spec.http[0]`; empty: the resource as such. */
  readonly path: string;
  /** Undefined: no manifest that was named has it. */
  readonly file: string | undefined;
  readonly line: number | undefined;
  /** What stands there. */
  readonly value: unknown;
  /** What was applied last had something else there: somebody changed it since. */
  readonly isChanged: boolean;
}

export interface Places {
  find(text: string): Place | undefined;
}

/** Of manifests (`-f`) and of the cluster's objects. */
export function makePlaces(files: readonly string[], objects: readonly KubeObject[]): Places {
  const manifests = readFiles(files);
  return {
    find: (text) => {
      const [, kind = "", namespace = "", name = "", path = ""] =
        /\b([A-Z][A-Za-z]+) ([a-z0-9.-]+)\/([a-z0-9.-]+)(?: (spec[^\s:,;]*))?/.exec(text) ?? [];
      if (kind === "") return undefined;
      const isIt = (object: KubeObject, home: string): boolean =>
        object.kind === kind && object.metadata.name === name && (object.metadata.namespace ?? home) === namespace;
      const manifest = manifests.find(({ object }) => isIt(object, namespace));
      const object = objects.find((each) => isIt(each, "default"));
      const value = valueAt(object ?? manifest?.source, path);
      const applied = lastApplied(object);
      return {
        resource: `${kind} ${namespace}/${name}`,
        path,
        file: manifest?.file,
        line: manifest?.lineAt(path),
        value,
        isChanged: applied !== undefined && !covers(value, valueAt(applied, path)),
      };
    },
  };
}

function readFiles(files: readonly string[]): readonly Manifest[] {
  if (files.length === 0) return [];
  const read = readManifests(files, makeRegistry([...kubernetesKinds, ...istioKinds]));
  if (!read.ok) throw new CommandFailure(read.error, { next: "Name an existing file or folder with -f." });
  return read.value.manifests;
}

const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

function lastApplied(object: KubeObject | undefined): unknown {
  const text = object?.metadata.annotations?.[LAST_APPLIED];
  const parsed = text === undefined ? undefined : parseJson(text);
  return parsed?.ok === true ? parsed.value : undefined;
}

/** Everything of `given` is in `value` too: what is there beside it are defaults. */
function covers(value: unknown, given: unknown): boolean {
  if (Array.isArray(given)) {
    return Array.isArray(value) && value.length === given.length && given.every((each, i) => covers(value[i], each));
  }
  if (!isRecord(given)) return given === undefined || value === given;
  return isRecord(value) && Object.entries(given).every(([key, each]) => covers(value[key], each));
}
