// `weft get`: for machines without kubectl.

import { Argument, type Command, Option } from "commander";
import { isRecord } from "../base/json.ts";
import { type ClusterApi, type Named, openClusterApi, pathOf, readResources } from "./cluster-api.ts";
import { examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { printStructured, table } from "./output.ts";

interface Options {
  readonly namespace: string;
  readonly allNamespaces?: true;
  readonly selector?: string;
  readonly output?: "wide" | "name" | "json" | "yaml";
  readonly dataDir: string;
}

const AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

export function define(command: Command): void {
  command
    .addArgument(new Argument("<resources...>", "KIND, KIND NAME, KIND/NAME, or several kinds with commas"))
    .option("-n, --namespace <namespace>", "where they are", "default")
    .option("-A, --all-namespaces", "of all namespaces")
    .option("-l, --selector <selector>", "only with these labels: app=web,tier!=back")
    .addOption(new Option("-o, --output <format>", "how to print").choices(["wide", "name", "json", "yaml"]))
    .addOption(dataDirOption())
    .action(async (words: string[], options: Options) => {
      const api = openClusterApi(options.dataDir);
      const resources = readResources(words);
      if (options.output === "json" || options.output === "yaml") await printObjects(api, resources, options);
      else
        for (const [index, each] of resources.entries()) await printTable(api, each, { options, isFirst: index === 0 });
    });
  examples(command, [
    "weft get pods -A",
    "weft get deploy web -o yaml",
    "weft get vs,dr -n shop",
    "weft get pods -l app=web",
  ]);
}

async function pathFor(api: ClusterApi, { kind, name }: Named, options: Options): Promise<string> {
  const place = await api.place(kind);
  const path = pathOf(place, options.allNamespaces === true ? undefined : options.namespace, name);
  return options.selector === undefined ? path : `${path}?labelSelector=${encodeURIComponent(options.selector)}`;
}

async function printObjects(api: ClusterApi, resources: readonly Named[], options: Options): Promise<void> {
  const format = options.output === "json" ? "json" : "yaml";
  const bodies: unknown[] = [];
  for (const each of resources)
    bodies.push(bare(await api.ask({ method: "GET", path: await pathFor(api, each, options) })));
  const [only, ...more] = bodies;
  if (more.length === 0) return printStructured(only, format);
  const items = bodies.flatMap((body) => (isRecord(body) && Array.isArray(body["items"]) ? body["items"] : [body]));
  await printStructured({ apiVersion: "v1", kind: "List", items }, format);
}

/** Without what nobody reads: who wrote which field. */
function bare(value: unknown): unknown {
  if (!isRecord(value)) return value;
  const { items, metadata } = value;
  const shown = isRecord(metadata)
    ? Object.fromEntries(Object.entries(metadata).filter(([key]) => key !== "managedFields"))
    : metadata;
  return {
    ...value,
    ...(metadata === undefined ? {} : { metadata: shown }),
    ...(Array.isArray(items) ? { items: items.map(bare) } : {}),
  };
}

async function printTable(
  api: ClusterApi,
  named: Named,
  { options, isFirst }: { readonly options: Options; readonly isFirst: boolean },
): Promise<void> {
  const place = await api.place(named.kind);
  const body = await api.ask({ method: "GET", path: await pathFor(api, named, options), accept: AS_TABLE });
  const columns = listIn(body, "columnDefinitions");
  const rows = listIn(body, "rows");
  if (options.output === "name") {
    for (const row of rows) console.log(`${place.singular}/${metadataOf(row)["name"]}`);
    return;
  }
  if (!isFirst && rows.length > 0) console.log("");
  if (rows.length === 0) {
    console.error(
      `No ${place.plural} found${options.allNamespaces === true ? "" : ` in ${options.namespace} namespace`}.`,
    );
    return;
  }
  const shown = columns.map((column) => column["priority"] === 0 || options.output === "wide");
  const withNamespace = options.allNamespaces === true && place.namespaced;
  const header = columns.filter((_, index) => shown[index]).map((column) => String(column["name"]).toUpperCase());
  const lines = rows.map((row) => {
    const cells = Array.isArray(row["cells"]) ? row["cells"] : [];
    const words = cells.filter((_, index) => shown[index]).map((cell) => String(cell ?? "<none>"));
    return withNamespace ? [String(metadataOf(row)["namespace"]), ...words] : words;
  });
  console.log(table(withNamespace ? ["NAMESPACE", ...header] : header, lines));
}

function listIn(body: unknown, field: string): readonly Readonly<Record<string, unknown>>[] {
  const list = isRecord(body) ? body[field] : undefined;
  return Array.isArray(list) ? list.filter(isRecord) : [];
}

function metadataOf(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const object = row["object"];
  return isRecord(object) && isRecord(object["metadata"]) ? object["metadata"] : {};
}
