// `weft proxy-config`, alias `pc`: what a proxy runs, from its admin interface or from a file that was taken of it.

import { Argument, type Command } from "commander";
import { parseJson } from "../base/json.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { CLUSTER_HEADER, type ClusterFilter, clusterRows, filterClusters } from "./dump/clusters.ts";
import { type Dump, type Entry, readDump } from "./dump/dump.ts";
import {
  ENDPOINT_HEADER,
  type EndpointFilter,
  type EndpointRow,
  endpointRows,
  endpointsOfClusters,
  endpointsOfDump,
  filterEndpoints,
} from "./dump/endpoints.ts";
import { filterListeners, LISTENER_HEADER, type ListenerFilter, listenerRows } from "./dump/listeners.ts";
import { filterRoutes, ROUTE_HEADER, routeRows } from "./dump/routes.ts";
import { SECRET_HEADER, secretCells, secretRows } from "./dump/secrets.ts";
import { readInput } from "./files.ts";
import { MeshAccess } from "./mesh-access.ts";
import { formatOption, printStructured, readFormat, table } from "./output.ts";

interface SourceOptions {
  readonly file?: string;
  readonly namespace?: string;
  readonly dataDir: string;
  readonly output?: string;
}

interface LogOptions extends SourceOptions {
  readonly level?: string;
  readonly reset?: boolean;
}

export function define(command: Command): void {
  command.addArgument(new Argument("[what...]").argOptional()).action((what: string[]) => {
    const message = what[0] === undefined ? "what of the proxy is not said" : `a proxy has no ${what[0]}`;
    throw new CommandFailure(message, {
      next: "Write one of bootstrap, cluster, endpoint, listener, route, secret, log, all, and a pod.",
      exitCode: 2,
    });
  });
  part(command, "bootstrap", "what the proxy was started with").action(async (pod, options: SourceOptions) => {
    const { bootstrap } = await dumpOf(pod, options);
    const format = readFormat(options.output);
    await printStructured(bootstrap, format === "table" ? "json" : format);
  });
  withClusterFilter(part(command, "cluster", "the proxy's clusters", ["clusters", "c"])).action(
    async (pod, options: SourceOptions & ClusterFilter) => {
      const found = filterClusters((await dumpOf(pod, options)).entries.cluster, options);
      await print(options, found, () => table(CLUSTER_HEADER, clusterRows(found)));
    },
  );
  withEndpointFilter(part(command, "endpoint", "where clusters lead, with health", ["endpoints", "ep"])).action(
    async (pod, options: SourceOptions & EndpointFilter) => {
      const found = filterEndpoints(await endpointsOf(pod, options), options);
      await printBodies(options, found, () => table(ENDPOINT_HEADER, endpointRows(found)));
    },
  );
  part(command, "listener", "where the proxy listens", ["listeners", "l"])
    .option("--address <address>", "only of this address")
    .option("--port <port>", "only of this port")
    .action(async (pod, options: SourceOptions & ListenerFilter) => {
      const found = filterListeners((await dumpOf(pod, options)).entries.listener, options);
      await print(options, found, () => table(LISTENER_HEADER, listenerRows(found)));
    });
  part(command, "route", "the proxy's routes", ["routes", "r"])
    .option("--name <name>", "only the route configuration of this name")
    .action(async (pod, options: SourceOptions & { readonly name?: string }) => {
      const found = filterRoutes((await dumpOf(pod, options)).entries.route, options.name);
      await print(options, found, () => table(ROUTE_HEADER, routeRows(found)));
    });
  part(command, "secret", "the proxy's certificates", ["secrets", "s"]).action(async (pod, options: SourceOptions) => {
    const found = (await dumpOf(pod, options)).entries.secret;
    await print(options, found, () => table(SECRET_HEADER, secretCells(secretRows(found, Date.now()))));
  });
  part(command, "log", "the proxy's log levels; --level sets them", ["logs", "o"])
    .option("--level <levels>", "LEVEL for all, or LOGGER:LEVEL,…")
    .option("--reset", "back to the level it started with")
    .action(setLevels);
  part(command, "all", "all of these").action(printAll);
  examples(command, [
    "weft proxy-config cluster deploy/frontend.shop",
    "weft pc route frontend-7d9-x1 -n shop --name 80",
    "weft pc endpoint deploy/frontend.shop --status unhealthy",
    "weft pc listener -f config_dump.json -o yaml",
    "weft pc log deploy/frontend.shop --level http:debug,connection:info",
  ]);
}

function part(command: Command, name: string, summary: string, aliases: readonly string[] = []): Command {
  return command
    .command(`${name} [pod]`)
    .aliases(aliases)
    .summary(summary)
    .description(`Show ${summary}.`)
    .exitOverride()
    .showHelpAfterError(`Try "weft proxy-config ${name} --help".`)
    .option("-f, --file <file>", 'a config_dump of weft\'s proxy or of Envoy instead of a pod, "-" for standard input')
    .option("-n, --namespace <namespace>", "the pod's namespace")
    .addOption(dataDirOption())
    .addOption(formatOption());
}

function withClusterFilter(command: Command): Command {
  return command
    .option("--fqdn <host>", "only of this host, or a part of it")
    .option("--port <port>", "only of this port")
    .option("--direction <direction>", "inbound or outbound")
    .option("--subset <subset>", "only of this subset");
}

function withEndpointFilter(command: Command): Command {
  return command
    .option("--address <address>", "only of this address")
    .option("--port <port>", "only of this port")
    .option("--cluster <name>", "only of this cluster")
    .option("--status <status>", "healthy, unhealthy, draining, …");
}

async function dumpOf(pod: string | undefined, options: SourceOptions): Promise<Dump> {
  const read = readDump(await dumpSource(pod, options));
  if (!read.ok)
    throw new CommandFailure(`${options.file ?? pod}: ${read.error}`, { next: "Take it from /config_dump." });
  return read.value;
}

async function dumpSource(pod: string | undefined, options: SourceOptions): Promise<unknown> {
  if (options.file === undefined) {
    const wanted = named(pod);
    const mesh = new MeshAccess(options.dataDir);
    return mesh.adminJson(await mesh.findPod(wanted, options.namespace), "/config_dump?include_eds");
  }
  if (pod !== undefined) {
    throw new CommandFailure("a pod and a file are two sources", { next: "Name one of them.", exitCode: 2 });
  }
  const parsed = parseJson(await readInput(options.file));
  if (!parsed.ok) throw new CommandFailure(`${options.file} is not JSON: ${parsed.error}`);
  return parsed.value;
}

function named(pod: string | undefined): string {
  if (pod !== undefined) return pod;
  throw new CommandFailure("no pod is named", { next: "Name a pod, deploy/NAME, or a file with -f.", exitCode: 2 });
}

/** A running proxy also knows which endpoints it has ejected; a file may be of either page. */
async function endpointsOf(pod: string | undefined, options: SourceOptions): Promise<readonly EndpointRow[]> {
  if (options.file === undefined) {
    const wanted = named(pod);
    const mesh = new MeshAccess(options.dataDir);
    const found = await mesh.findPod(wanted, options.namespace);
    return endpointsOfClusters(await mesh.adminJson(found, "/clusters?format=json"));
  }
  const value = await dumpSource(pod, options);
  const rows = endpointsOfClusters(value);
  if (rows.length > 0) return rows;
  const read = readDump(value);
  if (!read.ok)
    throw new CommandFailure(`${options.file}: ${read.error}`, { next: "Take it from /config_dump?include_eds." });
  return endpointsOfDump(read.value.entries.endpoint, read.value.entries.cluster);
}

function print(options: SourceOptions, entries: readonly Entry[], text: () => string): Promise<void> {
  return printBodies(options, entries, text);
}

async function printBodies(
  options: SourceOptions,
  entries: readonly { readonly body: unknown }[],
  text: () => string,
): Promise<void> {
  const format = readFormat(options.output);
  if (format === "table") console.log(text());
  else
    await printStructured(
      entries.map(({ body }) => body),
      format,
    );
}

async function setLevels(pod: string | undefined, options: LogOptions): Promise<void> {
  if (options.file !== undefined) throw new CommandFailure("a file has no log levels", { exitCode: 2 });
  const wanted = named(pod);
  const mesh = new MeshAccess(options.dataDir);
  const found = await mesh.findPod(wanted, options.namespace);
  const level = options.reset === true ? "info" : options.level;
  const query = level === undefined ? "" : level.includes(":") ? `?paths=${level}` : `?level=${level}`;
  process.stdout.write(await mesh.adminText(found, `/logging${query}`, "POST"));
}

async function printAll(pod: string | undefined, options: SourceOptions): Promise<void> {
  const dump = await dumpOf(pod, options);
  const endpoints =
    options.file === undefined
      ? await endpointsOf(pod, options)
      : endpointsOfDump(dump.entries.endpoint, dump.entries.cluster);
  const format = readFormat(options.output);
  const { cluster, listener, route, secret } = dump.entries;
  if (format !== "table") {
    const bodies = (entries: readonly { readonly body: unknown }[]): readonly unknown[] =>
      entries.map(({ body }) => body);
    await printStructured(
      {
        bootstrap: dump.bootstrap,
        clusters: bodies(cluster),
        listeners: bodies(listener),
        routes: bodies(route),
        endpoints: bodies(endpoints),
        secrets: bodies(secret),
      },
      format,
    );
    return;
  }
  const tables = [
    table(CLUSTER_HEADER, clusterRows(cluster)),
    table(LISTENER_HEADER, listenerRows(listener)),
    table(ROUTE_HEADER, routeRows(route)),
    table(ENDPOINT_HEADER, endpointRows(endpoints)),
    table(SECRET_HEADER, secretCells(secretRows(secret, Date.now()))),
  ];
  console.log(tables.join("\n\n"));
}
