// Webhooks of the user's: asked over HTTPS before an object is stored, in the order of their configurations' names.

import { randomUUID } from "node:crypto";
import { request as httpsRequest } from "node:https";
import { apiVersionOf, eraseKind, type Kind } from "../api/kind.ts";
import { namespaceKind } from "../api/kubernetes/namespace.ts";
import { matchesSelector } from "../api/kubernetes/selector-match.ts";
import {
  mutatingWebhookConfigurationKind,
  validatingWebhookConfigurationKind,
  type Webhook,
  type WebhookConfiguration,
  type WebhookRule,
} from "../api/kubernetes/webhook-configuration.ts";
import type { KubeObject } from "../api/object.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { AdmissionAnswer, AdmissionPlugin, AdmissionRequest } from "./admission.ts";
import { jsonPatch } from "./json-patch.ts";
import { WEBHOOK_ANSWER_BYTES_MAX } from "./limits.ts";
import { collectionOf } from "./resources.ts";
import { endpointOf } from "./service-endpoint.ts";
import { type ApiFailure, badRequest, failure } from "./status.ts";
import type { Store } from "./store.ts";

type Stage = "mutating" | "validating";

/** Built-in kinds of this group are never asked about: a broken webhook could not be taken away again. */
const EXEMPT_GROUP = "admissionregistration.k8s.io";

export function webhookPlugin(stage: Stage, store: Store): AdmissionPlugin {
  const kind = stage === "mutating" ? mutatingWebhookConfigurationKind : validatingWebhookConfigurationKind;
  const collection = collectionOf(eraseKind(kind));
  return {
    name: `${stage}-webhooks`,
    deletes: stage === "validating",
    admit: async (request) => {
      let object = request.object;
      const warnings: string[] = [];
      if (request.kind.group === EXEMPT_GROUP) return { kind: "allowed", object, warnings };
      const webhooks = store.list(collection).flatMap((each) => (isConfiguration(each) ? (each.webhooks ?? []) : []));
      for (const webhook of webhooks) {
        if (!concerns(webhook, { ...request, object }, store)) continue;
        const answer = await ask(webhook, { ...request, object }, { stage, store });
        if (answer.kind === "denied") return answer;
        object = answer.object;
        warnings.push(...answer.warnings);
      }
      return { kind: "allowed", object, warnings };
    },
  };
}

function isConfiguration(object: KubeObject): object is WebhookConfiguration {
  return object.kind.endsWith("WebhookConfiguration");
}

function concerns(webhook: Webhook, request: AdmissionRequest, store: Store): boolean {
  if (!(webhook.rules ?? []).some((rule) => matchesRule(rule, request))) return false;
  const { namespaceSelector, objectSelector } = webhook;
  if (objectSelector !== undefined) {
    const objects = [request.object, request.previous].filter((each) => each !== undefined);
    if (!objects.some(({ metadata }) => matchesSelector(objectSelector, metadata.labels))) return false;
  }
  if (namespaceSelector === undefined) return true;
  const isNamespace = request.kind.kind === "Namespace" && request.kind.group === "";
  if (request.namespace === undefined && !isNamespace) return true;
  const home = isNamespace
    ? request.object
    : store.get(collectionOf(eraseKind(namespaceKind)), undefined, request.namespace ?? "");
  return matchesSelector(namespaceSelector, home?.metadata.labels);
}

function matchesRule(rule: WebhookRule, { kind, operation }: AdmissionRequest): boolean {
  const has = (list: readonly string[] | undefined, wanted: readonly string[]): boolean =>
    (list ?? []).some((each) => each === "*" || wanted.includes(each));
  const isInScope = rule.scope === undefined || rule.scope === "*" || (rule.scope === "Namespaced") === kind.namespaced;
  return (
    isInScope &&
    has(rule.operations, [operation.toUpperCase()]) &&
    has(rule.apiGroups, [kind.group]) &&
    has(rule.apiVersions, kind.versions) &&
    has(rule.resources, [kind.plural, "*/*"])
  );
}

interface Place {
  readonly stage: Stage;
  readonly store: Store;
}

async function ask(webhook: Webhook, request: AdmissionRequest, { stage, store }: Place): Promise<AdmissionAnswer> {
  const uid = randomUUID();
  const answered = await call(webhook, reviewOf(uid, request), store);
  const changed = answered.ok ? readAnswer(answered.value, { uid, webhook, request, stage }) : answered;
  if (changed.ok) return changed.value;
  const message = `failed calling webhook ${JSON.stringify(webhook.name)}: ${changed.error}`;
  if (webhook.failurePolicy === "Ignore") {
    return { kind: "allowed", object: request.object, warnings: [`${message}; its failurePolicy is Ignore`] };
  }
  return { kind: "denied", error: failure(500, "InternalError", `Internal error occurred: ${message}`) };
}

function reviewOf(
  uid: string,
  { operation, kind, namespace, object, previous, user, dryRun }: AdmissionRequest,
): object {
  const [version] = kind.versions;
  const group = kind.group;
  const gvk = { group, version, kind: kind.kind };
  const gvr = { group, version, resource: kind.plural };
  const shown = { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind };
  const isDelete = operation === "delete";
  return {
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid,
      kind: gvk,
      resource: gvr,
      requestKind: gvk,
      requestResource: gvr,
      name: object.metadata.name,
      ...(namespace === undefined ? {} : { namespace }),
      operation: operation.toUpperCase(),
      userInfo: { username: user.name, groups: user.groups },
      object: isDelete ? null : shown,
      oldObject: isDelete ? shown : (previous ?? null),
      dryRun,
      options: { kind: `${OPTIONS[operation]}Options`, apiVersion: "meta.k8s.io/v1" },
    },
  };
}

const OPTIONS = { create: "Create", update: "Update", delete: "Delete" } as const;

interface Exchange {
  readonly uid: string;
  readonly webhook: Webhook;
  readonly request: AdmissionRequest;
  readonly stage: Stage;
}

/** What the webhook said; the error is why that can't be followed. */
function readAnswer(body: unknown, { uid, webhook, request, stage }: Exchange): Result<AdmissionAnswer, string> {
  const response = isRecord(body) ? body["response"] : undefined;
  if (!isRecord(response)) return err("the answer has no response");
  if (response["uid"] !== uid) return err(`the answer is for request ${String(response["uid"])}, expected ${uid}`);
  const given = response["warnings"];
  const warnings = Array.isArray(given) ? given.map(String) : [];
  if (response["allowed"] !== true) return ok({ kind: "denied", error: refusalOf(webhook, response["status"]) });
  const patch = response["patch"];
  if (patch === undefined || patch === null) return ok({ kind: "allowed", object: request.object, warnings });
  if (stage === "validating") return err("a validating webhook may not change the object");
  if (response["patchType"] !== "JSONPatch" || typeof patch !== "string") return err("the patch is no JSONPatch");
  const operations = parseJson(Buffer.from(patch, "base64").toString("utf8"));
  if (!operations.ok) return err(`the patch can't be read: ${operations.error}`);
  const changed = jsonPatch({ ...request.object, kind: request.kind.kind }, operations.value);
  if (!changed.ok) return changed;
  const object = asObject(changed.value, request.kind, request.object);
  return object === undefined ? err("the patch leaves no object") : ok({ kind: "allowed", object, warnings });
}

function refusalOf(webhook: Webhook, given: unknown): ApiFailure {
  const status = isRecord(given) ? given : {};
  const why = status["message"] ?? status["reason"];
  const text = why === undefined ? " without explanation" : `: ${String(why)}`;
  const message = `admission webhook ${JSON.stringify(webhook.name)} denied the request${text}`;
  const code = Number(status["code"] ?? 0);
  if (code < 400 || code > 599) return badRequest(message);
  return failure(code, String(status["reason"] ?? REASONS[code] ?? ""), message);
}

const REASONS: Readonly<Record<number, string>> = {
  403: "Forbidden",
  409: "Conflict",
  422: "Invalid",
  429: "TooManyRequests",
};

/** Which object it is, a webhook can't change. */
function asObject(value: unknown, kind: Kind, original: KubeObject): KubeObject | undefined {
  const metadata = isRecord(value) ? value["metadata"] : undefined;
  if (!isRecord(value) || !isRecord(metadata)) return undefined;
  const { name, namespace, uid } = original.metadata;
  const identity = { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) };
  return { ...value, apiVersion: original.apiVersion, kind: kind.kind, metadata: { ...metadata, ...identity } };
}

function call(webhook: Webhook, review: object, store: Store): Promise<Result<unknown, string>> {
  const target = targetOf(webhook, store);
  if (!target.ok) return Promise.resolve(target);
  const { promise, resolve } = Promise.withResolvers<Result<unknown, string>>();
  const { url, host, port } = target.value;
  const timeoutMs = (webhook.timeoutSeconds ?? 10) * 1000;
  url.searchParams.set("timeout", `${webhook.timeoutSeconds ?? 10}s`);
  const { caBundle } = webhook.clientConfig;
  const outgoing = httpsRequest(
    {
      host,
      port,
      path: `${url.pathname}${url.search}`,
      servername: url.hostname,
      method: "POST",
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      headers: { host: url.host, "content-type": "application/json", accept: "application/json" },
      ...(caBundle === undefined ? {} : { ca: Buffer.from(caBundle, "base64").toString("utf8") }),
    },
    (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > WEBHOOK_ANSWER_BYTES_MAX) response.destroy(new Error("the answer is too long"));
        else chunks.push(chunk);
      });
      response.on("error", (error) => resolve(err(`failed to call webhook: ${error.message}`)));
      response.on("end", () => {
        if (response.statusCode !== 200) resolve(err(`failed to call webhook: it answered ${response.statusCode}`));
        else resolve(parseJson(Buffer.concat(chunks).toString("utf8")));
      });
    },
  );
  outgoing.on("error", (error) => {
    const why =
      error.name === "TimeoutError" || error.name === "AbortError" ? "context deadline exceeded" : error.message;
    resolve(err(`failed to call webhook: Post "${url}": ${why}`));
  });
  outgoing.end(JSON.stringify(review));
  return promise;
}

interface Target {
  readonly url: URL;
  readonly host: string;
  readonly port: number;
}

function targetOf(webhook: Webhook, store: Store): Result<Target, string> {
  const { url, service } = webhook.clientConfig;
  if (url !== undefined) {
    if (!URL.canParse(url)) return err(`${url} is no URL`);
    const parsed = new URL(url);
    return ok({ url: parsed, host: parsed.hostname.replace(/^\[|\]$/g, ""), port: Number(parsed.port || 443) });
  }
  if (service === undefined) return err("the webhook names neither url nor service");
  const { name, namespace, path = "/", port = 443 } = service;
  const endpoint = endpointOf(store, { namespace, name }, String(port));
  if (!endpoint.ok) return err(endpoint.error.message);
  const named = new URL(`https://${name}.${namespace}.svc:${port}${path.startsWith("/") ? path : `/${path}`}`);
  return ok({ url: named, host: endpoint.value.ip, port: endpoint.value.port });
}
