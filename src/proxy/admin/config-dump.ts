// /config_dump: the configuration in force, as Envoy prints it, secrets redacted.

import { isRecord } from "../../base/json.ts";
import { Bootstrap } from "../../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { Cluster } from "../../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { Listener } from "../../proto/gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "../../proto/gen/envoy/config/route/v3/route.ts";
import { HttpConnectionManager } from "../../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { Secret } from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import { toEnvoyJson } from "../../proto/json.ts";
import { plainName } from "../subscribe/file-name.ts";
import type { ResourceKind, ResourceTypes } from "../subscribe/source.ts";
import { type Answer, type Endpoint, json, type Query, text } from "./answer.ts";
import { compile } from "./pattern.ts";
import type { AdminView, DumpEntry } from "./view.ts";

export const configDumpEndpoint: Endpoint = {
  path: "/config_dump",
  help: "dump current configs; resource=FIELD, mask=FIELDS, name_regex=REGEX, include_eds",
  mutates: false,
  run({ view }, query): Answer {
    const pattern = compile(query.get("name_regex") ?? "");
    if (pattern === undefined) return text("name_regex is not a regular expression\n", 400);
    const includeEds = query.has("include_eds") || query.get("resource")?.includes("endpoint") === true;
    const configs = sections(view, (name) => pattern.test(name), includeEds);
    const resource = query.get("resource");
    if (resource === undefined) return json({ configs: configs.map((config) => masked(config, query)) });
    const found = configs.flatMap((config) => {
      const items = config[resource];
      return Array.isArray(items) ? items.filter(isRecord).map((item) => withType(config, resource, item)) : [];
    });
    if (!configs.some((config) => resource in config)) return text(`${resource} not found in config dump`, 404);
    return json({ configs: found.map((item) => masked(item, query)) });
  },
};

type Json = Readonly<Record<string, unknown>>;
type Keep = (name: string) => boolean;

const DUMP = "type.googleapis.com/envoy.admin.v3.";
/** Base64 of "[redacted]", as Envoy writes it. */
const REDACTED = "W3JlZGFjdGVkXQ==";

const ITEM_TYPES: Readonly<Record<string, string>> = {
  static_clusters: "StaticCluster",
  dynamic_active_clusters: "DynamicCluster",
  dynamic_warming_clusters: "DynamicCluster",
  static_listeners: "StaticListener",
  dynamic_listeners: "DynamicListener",
  static_route_configs: "StaticRouteConfig",
  dynamic_route_configs: "DynamicRouteConfig",
  static_endpoint_configs: "StaticEndpointConfig",
  dynamic_endpoint_configs: "DynamicEndpointConfig",
  static_secrets: "StaticSecret",
  dynamic_active_secrets: "DynamicSecret",
};

function sections(view: AdminView, keep: Keep, includeEds: boolean): readonly Json[] {
  const started = new Date(view.startedAtMs).toISOString();
  const dumps = <K extends ResourceKind>(kind: K) => view.dump(kind).filter((entry) => keep(entry.name));
  return [
    {
      "@type": `${DUMP}BootstrapConfigDump`,
      bootstrap: redact(toEnvoyJson(Bootstrap, view.bootstrap)),
      last_updated: started,
    },
    clusterSection(dumps("cluster")),
    ...(includeEds
      ? [plainSection("Endpoints", { key: "endpoint_config", list: "endpoint_configs" }, dumps("endpoint"))]
      : []),
    listenerSection(dumps("listener")),
    plainSection("Routes", { key: "route_config", list: "route_configs" }, [
      ...dumps("route"),
      ...inlineRoutes(view, keep),
    ]),
    secretSection([...dumps("secret"), ...localSecrets(view).filter((entry) => keep(entry.name))]),
  ];
}

function clusterSection(entries: readonly DumpEntry<"cluster">[]): Json {
  const item = (entry: DumpEntry<"cluster">) => common(entry, "cluster");
  const dynamic = entries.filter(({ origin }) => origin === "dynamic");
  return {
    "@type": `${DUMP}ClustersConfigDump`,
    version_info: newest(dynamic),
    static_clusters: entries.filter(({ origin }) => origin === "static").map(item),
    dynamic_active_clusters: dynamic.filter(({ state }) => state !== "warming").map(item),
    dynamic_warming_clusters: dynamic.filter(({ state }) => state === "warming").map(item),
  };
}

function listenerSection(entries: readonly DumpEntry<"listener">[]): Json {
  const dynamic = entries.filter(({ origin }) => origin === "dynamic");
  return {
    "@type": `${DUMP}ListenersConfigDump`,
    version_info: newest(dynamic),
    static_listeners: entries.filter(({ origin }) => origin === "static").map((entry) => common(entry, "listener")),
    dynamic_listeners: dynamic.map((entry) => {
      const state =
        entry.state === "warming" ? "warming_state" : entry.state === "draining" ? "draining_state" : "active_state";
      const { error_state: error, ...body } = common(entry, "listener");
      return {
        name: entry.name,
        ...(entry.state === "refused" ? {} : { [state]: body }),
        ...(error === undefined ? {} : { error_state: error }),
      };
    }),
  };
}

function plainSection<K extends "endpoint" | "route">(
  name: "Endpoints" | "Routes",
  words: { readonly key: string; readonly list: string },
  entries: readonly DumpEntry<K>[],
): Json {
  const of = (origin: string) =>
    entries.filter((entry) => entry.origin === origin).map((entry) => common(entry, words.key));
  return {
    "@type": `${DUMP}${name}ConfigDump`,
    [`static_${words.list}`]: of("static"),
    [`dynamic_${words.list}`]: of("dynamic"),
  };
}

function secretSection(entries: readonly DumpEntry<"secret">[]): Json {
  const of = (origin: string) =>
    entries
      .filter((entry) => entry.origin === origin)
      .map((entry) => ({ name: plainName(entry.name), ...common(entry, "secret") }));
  return { "@type": `${DUMP}SecretsConfigDump`, static_secrets: of("static"), dynamic_active_secrets: of("dynamic") };
}

/** Those that stand in a listener's connection manager: static to Envoy, wherever the listener is from. */
function inlineRoutes(view: AdminView, keep: Keep): readonly DumpEntry<"route">[] {
  return view.dump("listener").flatMap((entry): DumpEntry<"route">[] => {
    if (entry.state === "refused") return [];
    const { filterChains, defaultFilterChain } = entry.resource;
    const chains = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
    return chains
      .flatMap(({ filters }) => filters)
      .flatMap(({ configType }) => {
        const config = configType?.$case === "typedConfig" ? configType.value : undefined;
        if (config?.typeUrl !== HTTP_CONNECTION_MANAGER) return [];
        const { routeSpecifier } = HttpConnectionManager.decode(config.value);
        return routeSpecifier?.$case === "routeConfig" && keep(routeSpecifier.value.name) ? [routeSpecifier.value] : [];
      })
      .map((resource) => ({ ...entry, origin: "static", name: resource.name, resource, refusal: undefined }));
  });
}

const HTTP_CONNECTION_MANAGER =
  "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/** What the process itself has of the secrets that its configuration names: a sidecar's certificate and the mesh's root. */
function localSecrets(view: AdminView): readonly DumpEntry<"secret">[] {
  const known = new Set(view.dump("secret").map(({ name }) => name));
  const entry = (name: string, type: Secret["type"]): DumpEntry<"secret"> => ({
    name,
    version: "",
    origin: "dynamic",
    state: "active",
    lastUpdatedMs: view.startedAtMs,
    resource: { name, type },
    refusal: undefined,
  });
  return view.certificates().flatMap(({ secretName: name, chainPem, caPem }) => {
    // Files are no secrets of a control plane's.
    if (known.has(name) || name.includes("/")) return [];
    if (chainPem !== undefined) return [entry(name, certificateType(chainPem))];
    return caPem === undefined ? [] : [entry(name, trustType(caPem))];
  });
}

function certificateType(pem: string): Secret["type"] {
  const { type } = Secret.fromPartial({
    type: {
      $case: "tlsCertificate",
      value: {
        certificateChain: { specifier: { $case: "inlineBytes", value: Buffer.from(pem) } },
        privateKey: { specifier: { $case: "inlineBytes", value: Buffer.from("[redacted]") } },
      },
    },
  });
  return type;
}

function trustType(pem: string): Secret["type"] {
  const trustedCa = { specifier: { $case: "inlineBytes", value: Buffer.from(pem) } } as const;
  return Secret.fromPartial({ type: { $case: "validationContext", value: { trustedCa } } }).type;
}

function common<K extends ResourceKind>(entry: DumpEntry<K>, key: string): Json {
  const last_updated = new Date(entry.lastUpdatedMs).toISOString();
  return {
    ...(entry.origin === "dynamic" ? { version_info: entry.version } : {}),
    [key]: redact(resourceJson(entry.resource)),
    last_updated,
    ...(entry.refusal === undefined
      ? {}
      : { error_state: { last_update_attempt: last_updated, details: entry.refusal } }),
  };
}

/** The kinds are told apart by fields that only they have. */
function resourceJson(resource: ResourceTypes[ResourceKind]): unknown {
  const typed = (name: string, body: unknown) => ({
    "@type": `type.googleapis.com/${name}`,
    ...(isRecord(body) ? body : {}),
  });
  if ("endpoints" in resource) {
    return typed("envoy.config.endpoint.v3.ClusterLoadAssignment", toEnvoyJson(ClusterLoadAssignment, resource));
  }
  if ("filterChains" in resource) return typed("envoy.config.listener.v3.Listener", toEnvoyJson(Listener, resource));
  if ("virtualHosts" in resource) {
    return typed("envoy.config.route.v3.RouteConfiguration", toEnvoyJson(RouteConfiguration, resource));
  }
  if ("clusterDiscoveryType" in resource)
    return typed("envoy.config.cluster.v3.Cluster", toEnvoyJson(Cluster, resource));
  return typed("envoy.extensions.transport_sockets.tls.v3.Secret", toEnvoyJson(Secret, resource));
}

function newest(entries: readonly DumpEntry<ResourceKind>[]): string {
  let last: DumpEntry<ResourceKind> | undefined;
  for (const entry of entries) if (last === undefined || entry.lastUpdatedMs >= last.lastUpdatedMs) last = entry;
  return last?.version ?? "";
}

const SECRET_FIELDS = new Set(["private_key", "password", "session_ticket_keys", "generic_secret"]);

function redact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redact);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      SECRET_FIELDS.has(key) ? { inline_bytes: REDACTED } : redact(inner),
    ]),
  );
}

function withType(config: Json, resource: string, item: Json): Json {
  const section = String(config["@type"]);
  return { "@type": `${section}.${ITEM_TYPES[resource] ?? "Item"}`, ...item };
}

/** `mask=a.b,c`: only these fields; the type always stays. */
function masked(config: Json, query: Query): Json {
  const mask = query.get("mask");
  if (mask === undefined || mask === "") return config;
  const picked: Record<string, unknown> = { "@type": config["@type"] };
  for (const field of mask.split(",")) {
    const [first = "", ...rest] = field.split(".");
    const value = pick(config[first], rest);
    if (value !== undefined)
      picked[first] = isRecord(picked[first]) && isRecord(value) ? { ...picked[first], ...value } : value;
  }
  return picked;
}

function pick(value: unknown, path: readonly string[]): unknown {
  const [first, ...rest] = path;
  if (first === undefined || value === undefined) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => pick(item, path));
  if (!isRecord(value)) return undefined;
  const inner = pick(value[first], rest);
  return inner === undefined ? undefined : { ...("@type" in value ? { "@type": value["@type"] } : {}), [first]: inner };
}
