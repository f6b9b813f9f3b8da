// Offline injection: a YAML text in, the same text out with sidecars in its workloads. What has no pod stays byte for byte.

import { stringify } from "yaml";
import type { Issue } from "../api/issue.ts";
import { type ProxyConfig, proxyConfigKind } from "../api/istio/proxy-config.ts";
import { TEMPLATE_PATHS } from "../api/kubernetes/templates.ts";
import { validateStructure } from "../api/validate.ts";
import { isRecord, parseYamlDocuments } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { WorkloadName } from "./container.ts";
import { decideOffline } from "./decide.ts";
import type { InjectOptions } from "./options.ts";
import { injectPod, ownerUrl } from "./pod.ts";
import { NO_PROXY_CONFIGS, type ProxyConfigWorld, proxySettings as settingsFor } from "./proxy-config.ts";
import { type Json, recordAt, stringAt, stringsAt } from "./shape.ts";

export interface Notice {
  /** `Deployment/api`. */
  readonly resource: string;
  readonly issue: Issue;
}

export interface InjectedText {
  readonly text: string;
  readonly notices: readonly Notice[];
}

/** `world`: ProxyConfigs and MeshConfig beside those in the text. */
export function injectText(
  text: string,
  options: InjectOptions,
  world = NO_PROXY_CONFIGS,
): Result<InjectedText, string> {
  const whole = parseYamlDocuments(text);
  if (!whole.ok) return whole;
  const notices: Notice[] = [];
  const own = whole.value.flatMap(({ value }) => proxyConfigOf(value));
  const context = { options, notices, world: { ...world, proxyConfigs: [...world.proxyConfigs, ...own] } };
  const parts: string[] = [];
  for (const part of splitDocuments(text)) {
    const parsed = parseYamlDocuments(part.body);
    if (!parsed.ok) return err(parsed.error);
    const value = parsed.value[0]?.value;
    const changed = value === undefined ? undefined : injectObject(value, context);
    parts.push(part.separator, changed === undefined || changed === value ? part.body : write(changed));
  }
  return ok({ text: parts.join(""), notices });
}

interface Context {
  readonly options: InjectOptions;
  readonly notices: Notice[];
  readonly world: ProxyConfigWorld;
}

function proxyConfigOf(value: unknown): readonly ProxyConfig[] {
  if (!isRecord(value) || stringAt(value, "kind") !== proxyConfigKind.kind) return [];
  const read = validateStructure(proxyConfigKind, value);
  return read.issues.some(({ reason }) => reason !== "unknown") ? [] : [read.object];
}

/** The object itself when there is nothing to inject. */
function injectObject(value: unknown, context: Context): unknown {
  if (!isRecord(value)) return value;
  const kind = stringAt(value, "kind") ?? "";
  if (kind === "List" && Array.isArray(value["items"])) {
    const items = value["items"].map((item: unknown) => injectObject(item, context));
    return { ...value, items };
  }
  const path = TEMPLATE_PATHS[kind];
  if (path === undefined) return value;
  const metadata = recordAt(value, "metadata");
  const name = stringAt(metadata, "name") ?? "";
  const namespace = stringAt(metadata, "namespace") ?? "default";
  const apiVersion = stringAt(value, "apiVersion") ?? "v1";
  const workload: WorkloadName = { name, owner: ownerUrl({ apiVersion, kind, namespace, name }) };
  return changeAt(value, path, (pod) => {
    if (!decideOffline(pod, namespace).inject) return pod;
    const labels = stringsAt(recordAt(pod, "metadata"), "labels");
    const proxySettings = settingsFor(context.world, { namespace, labels });
    const injected = injectPod(pod, workload, { ...context.options, proxySettings });
    context.notices.push(...injected.issues.map((issue) => ({ resource: `${kind}/${name}`, issue })));
    return injected.pod;
  });
}

function changeAt(value: Json, path: readonly string[], change: (inner: Json) => Json): Json {
  const [key, ...rest] = path;
  if (key === undefined) return change(value);
  const inner = value[key];
  if (!isRecord(inner)) return value;
  const changed = changeAt(inner, rest, change);
  return changed === inner ? value : { ...value, [key]: changed };
}

interface Part {
  /** The line `---` before the document, with its line end; empty before the first. */
  readonly separator: string;
  readonly body: string;
}

/** A line that begins with `---` always ends a document in YAML, even within a block scalar. */
function splitDocuments(text: string): readonly Part[] {
  const parts: { separator: string; body: string }[] = [{ separator: "", body: "" }];
  for (const line of text.split(/(?<=\n)/)) {
    if (/^---(\s|$)/.test(line)) parts.push({ separator: line, body: "" });
    else {
      const last = parts.at(-1);
      if (last !== undefined) last.body += line;
    }
  }
  return parts;
}

function write(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
