// A container's environment: literal values, fields of the pod, and keys of ConfigMaps and Secrets.

import type { KubeClient } from "../api/client.ts";
import { configMapKind } from "../api/kubernetes/config-map.ts";
import type { Container, EnvFromSource, EnvVar } from "../api/kubernetes/container.ts";
import { secretKind } from "../api/kubernetes/secret.ts";
import { err, ok, type Result } from "../base/result.ts";
import { expand } from "./expand.ts";
import { fieldOf, type PodFacts, resourceOf } from "./facts.ts";

/** The error is what a waiting container says beside CreateContainerConfigError. */
export async function resolveEnvironment(
  container: Container,
  facts: PodFacts,
  client: KubeClient,
): Promise<Result<Readonly<Record<string, string>>, string>> {
  const sources = new Sources(client, facts.pod.metadata.namespace ?? "default");
  const variables: Record<string, string> = {};
  for (const source of container.envFrom ?? []) {
    const data = await sources.all(source);
    if (!data.ok) return data;
    for (const [key, value] of Object.entries(data.value)) variables[`${source.prefix ?? ""}${key}`] = value;
  }
  for (const variable of container.env ?? []) {
    const value = await variableValue(variable, { container, facts, sources, variables });
    if (!value.ok) return value;
    if (value.value !== undefined) variables[variable.name] = value.value;
  }
  return ok(variables);
}

interface Scope {
  readonly container: Container;
  readonly facts: PodFacts;
  readonly sources: Sources;
  readonly variables: Readonly<Record<string, string>>;
}

async function variableValue(variable: EnvVar, scope: Scope): Promise<Result<string | undefined, string>> {
  const from = variable.valueFrom;
  if (from === undefined) return ok(expand(variable.value ?? "", scope.variables));
  if (from.fieldRef !== undefined) return fieldOf(from.fieldRef.fieldPath, scope.facts);
  if (from.resourceFieldRef !== undefined) return resourceValue(from.resourceFieldRef, scope);
  if (from.configMapKeyRef !== undefined) return scope.sources.key("configmap", from.configMapKeyRef);
  if (from.secretKeyRef !== undefined) return scope.sources.key("secret", from.secretKeyRef);
  return err(`env ${variable.name}: valueFrom names no source that this node knows`);
}

function resourceValue(
  reference: { readonly resource: string; readonly containerName?: string; readonly divisor?: string },
  scope: Scope,
): Result<string, string> {
  const named = scope.facts.pod.spec.containers.find((other) => other.name === reference.containerName);
  return resourceOf(reference, named ?? scope.container, scope.facts.capacity);
}

type SourceKind = "configmap" | "secret";

/** ConfigMaps and Secrets of one namespace, each read once. */
class Sources {
  readonly #client: KubeClient;
  readonly #namespace: string;
  readonly #read = new Map<string, Promise<Result<Readonly<Record<string, string>>, string>>>();

  constructor(client: KubeClient, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  async key(
    kind: SourceKind,
    reference: { readonly name?: string; readonly key: string; readonly optional?: boolean },
  ): Promise<Result<string | undefined, string>> {
    const name = reference.name ?? "";
    const data = await this.#data(kind, name);
    if (!data.ok) return reference.optional === true ? ok(undefined) : data;
    if (Object.hasOwn(data.value, reference.key)) return ok(data.value[reference.key]);
    if (reference.optional === true) return ok(undefined);
    return err(`couldn't find key ${reference.key} in ${titleOf(kind)} ${this.#namespace}/${name}`);
  }

  async all(source: EnvFromSource): Promise<Result<Readonly<Record<string, string>>, string>> {
    const kind: SourceKind = source.configMapRef === undefined ? "secret" : "configmap";
    const reference = source.configMapRef ?? source.secretRef;
    if (reference === undefined) return ok({});
    const data = await this.#data(kind, reference.name ?? "");
    return !data.ok && reference.optional === true ? ok({}) : data;
  }

  #data(kind: SourceKind, name: string): Promise<Result<Readonly<Record<string, string>>, string>> {
    const cacheKey = `${kind}/${name}`;
    const known = this.#read.get(cacheKey);
    if (known !== undefined) return known;
    const reading = this.#fetch(kind, name);
    this.#read.set(cacheKey, reading);
    return reading;
  }

  async #fetch(kind: SourceKind, name: string): Promise<Result<Readonly<Record<string, string>>, string>> {
    const ref = { namespace: this.#namespace, name };
    if (kind === "configmap") {
      const found = await this.#client.get(configMapKind, ref);
      return found.ok ? ok(found.value.data ?? {}) : err(`configmap "${name}": ${found.error.message}`);
    }
    const found = await this.#client.get(secretKind, ref);
    if (!found.ok) return err(`secret "${name}": ${found.error.message}`);
    const decoded = Object.entries(found.value.data ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString("utf8"),
    ]);
    return ok(Object.fromEntries(decoded));
  }
}

function titleOf(kind: SourceKind): string {
  return kind === "configmap" ? "ConfigMap" : "Secret";
}
