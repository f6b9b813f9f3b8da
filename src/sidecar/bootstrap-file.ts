// The bootstrap that the command line names: a file, a text, or the one merged over the other; with what the command line
// says of the node. Every unknown field is named with its path.

import { readText } from "../agent/read-text.ts";
import { isRecord, parseJson, parseYamlDocuments } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { Bootstrap } from "../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { fromEnvoyJson } from "../proto/json.ts";
import type { ServerOptions } from "./arguments.ts";
import { readDataSources } from "./data-source.ts";

type Given = Pick<ServerOptions, "configPath" | "configYaml" | "serviceCluster" | "serviceNode" | "serviceZone">;

export function readBootstrap(given: Given): Result<Bootstrap, readonly string[]> {
  const place = placeOf(given);
  const document = readDocument(given);
  if (!document.ok) return err([document.error]);
  const complete = readDataSources(withNode(document.value, given), { env: globalThis.process.env });
  if (!complete.ok) return err(complete.error.map((issue) => `${place}: ${issue}`));
  const bootstrap = fromEnvoyJson(Bootstrap, complete.value);
  return bootstrap.ok ? bootstrap : err(bootstrap.error.map((issue) => `${place}: ${issue}`));
}

/** How messages call it. */
export function placeOf(given: Given): string {
  return given.configPath === "" ? "--config-yaml" : given.configPath;
}

function readDocument(given: Given): Result<unknown, string> {
  let document: unknown;
  if (given.configPath !== "") {
    const text = readText(given.configPath);
    if (!text.ok) return err(`${given.configPath} can't be read: ${text.error}. Next: check the path that -c names`);
    const parsed = parse(text.value);
    if (!parsed.ok) return err(`${given.configPath}: ${parsed.error}`);
    document = parsed.value;
  }
  if (given.configYaml === "") return ok(document);
  const parsed = parse(given.configYaml);
  if (!parsed.ok) return err(`--config-yaml: ${parsed.error}`);
  return ok(document === undefined ? parsed.value : merged(document, parsed.value));
}

function parse(text: string): Result<unknown, string> {
  if (text.trimStart().startsWith("{")) {
    const json = parseJson(text);
    // YAML has braces too.
    if (json.ok) return json;
    const yaml = parseYaml(text);
    return yaml.ok ? yaml : json;
  }
  return parseYaml(text);
}

function parseYaml(text: string): Result<unknown, string> {
  const documents = parseYamlDocuments(text);
  if (!documents.ok) return documents;
  const [only, ...more] = documents.value;
  return only === undefined || more.length > 0 ? err("expected exactly one YAML document") : ok(only.value);
}

/** As protobuf merges: messages field by field, lists one after the other, the rest replaced. */
function merged(base: unknown, over: unknown): unknown {
  if (Array.isArray(base) && Array.isArray(over)) return [...base, ...over];
  if (!isRecord(base) || !isRecord(over)) return over;
  const all: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const same = Object.keys(base).find((known) => camelCase(known) === camelCase(key));
    all[same ?? key] = same === undefined ? value : merged(base[same], value);
  }
  return all;
}

function camelCase(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

function withNode(document: unknown, given: Given): unknown {
  const node = {
    ...(given.serviceCluster === "" ? {} : { cluster: given.serviceCluster }),
    ...(given.serviceNode === "" ? {} : { id: given.serviceNode }),
    ...(given.serviceZone === "" ? {} : { locality: { zone: given.serviceZone } }),
  };
  return Object.keys(node).length === 0 ? document : merged(document, { node });
}
