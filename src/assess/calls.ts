// Who calls whom, as far as manifests say it: the names of services in variables, arguments and ConfigMaps.

import type { KubeObject } from "../api/object.ts";
import { type AppService, type AppWorkload, type Named, runsBehind } from "./app.ts";
import { type Tree, textAt, textsAt, treeAt, treesAt } from "./tree.ts";

export interface Call {
  /** A workload. */
  readonly from: Named;
  /** A service. */
  readonly to: AppService;
  /** Workloads behind it. */
  readonly reaches: readonly Named[];
  /** The caller says https. */
  readonly isTls: boolean;
}

export function callsOf(
  workloads: readonly AppWorkload[],
  services: readonly AppService[],
  objects: readonly KubeObject[],
): readonly Call[] {
  const configs = objects.filter(({ kind }) => kind === "ConfigMap");
  return workloads.flatMap((workload) => {
    const found = new Map<AppService, boolean>();
    for (const text of textsOf(workload, configs)) {
      for (const { host, isTls } of hostsIn(text)) {
        const service = services.find((each) => names(each, workload.namespace).includes(host));
        if (service === undefined || runsBehind(service, workload)) continue;
        found.set(service, isTls || found.get(service) === true);
      }
    }
    const { namespace, name } = workload;
    return [...found].map(([to, isTls]) => {
      return { from: { namespace, name }, to, reaches: workloads.filter((each) => runsBehind(to, each)), isTls };
    });
  });
}

function names({ name, namespace }: AppService, from: string): readonly string[] {
  const whole = [`${name}.${namespace}`, `${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`];
  return namespace === from ? [name, ...whole] : whole;
}

/** `http://api:8080`, `api.shop.svc:5432`: a name alone could be any word. */
const HOST = /(?:([a-z][a-z0-9+.-]*):\/\/(?:[^\s/@]*@)?([a-z0-9.-]+)|(?:^|[\s,;"'=@])([a-z0-9][a-z0-9.-]*):\d{2,5}\b)/g;

function hostsIn(text: string): readonly { readonly host: string; readonly isTls: boolean }[] {
  return Array.from(text.matchAll(HOST), ([, scheme = "", named = "", bare = ""]) => ({
    host: named || bare,
    isTls: /^(https|grpcs|tls|amqps|rediss)$/.test(scheme),
  }));
}

function textsOf({ spec, namespace, variables }: AppWorkload, configs: readonly KubeObject[]): readonly string[] {
  const containers = treesAt(spec, "containers");
  const used = new Set([
    ...containers.flatMap((each) =>
      treesAt(each, "envFrom").map((from) => textAt(treeAt(from, "configMapRef"), "name")),
    ),
    ...containers.flatMap((each) =>
      treesAt(each, "env").map((one) => textAt(treeAt(treeAt(one, "valueFrom"), "configMapKeyRef"), "name")),
    ),
    ...treesAt(spec, "volumes").map((volume) => textAt(treeAt(volume, "configMap"), "name")),
  ]);
  const own = configs.filter(
    ({ metadata }) => (metadata.namespace ?? "default") === namespace && used.has(metadata.name),
  );
  return [
    ...variables.map(({ value }) => value),
    ...containers.flatMap((each) => [...words(each, "args"), ...words(each, "command")]),
    ...own.flatMap((each) => Object.values(textsAt(each, "data"))),
  ];
}

function words(container: Tree, key: string): readonly string[] {
  const list: unknown = container[key];
  return Array.isArray(list) ? list.map(String) : [];
}

/** The longest way from workload to workload; a circle counts once. */
export function depthOf(calls: readonly Call[]): number {
  const next = new Map<string, Set<string>>();
  for (const { from, reaches } of calls) {
    const known = next.get(key(from)) ?? new Set();
    next.set(key(from), known);
    for (const each of reaches) known.add(key(each));
  }
  const known = new Map<string, number>();
  const walk = (at: string, path: ReadonlySet<string>): number => {
    if (path.has(at)) return 0;
    const before = known.get(at);
    if (before !== undefined) return before;
    const deeper = [...(next.get(at) ?? [])].map((each) => walk(each, new Set([...path, at])));
    const depth = 1 + Math.max(0, ...deeper);
    known.set(at, depth);
    return depth;
  };
  return Math.max(0, ...[...next.keys()].map((each) => walk(each, new Set())));
}

function key({ namespace, name }: Named): string {
  return `${namespace}/${name}`;
}
