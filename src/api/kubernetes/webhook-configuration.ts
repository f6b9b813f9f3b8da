// ValidatingWebhookConfiguration and MutatingWebhookConfiguration: who is asked before an object is stored.

import type { Static } from "typebox";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue, type Issue, warningIssue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { anything, bytes, int32, labelSelector, list, mergeList, oneOf, struct, text, texts } from "./fields.ts";

const serviceReference = struct({ namespace: text, name: text }, { path: text, port: int32 });
const rule = struct({}, { operations: texts, apiGroups: texts, apiVersions: texts, resources: texts, scope: text });
const webhook = struct(
  {
    name: text,
    clientConfig: struct({}, { url: text, service: serviceReference, caBundle: bytes }),
    sideEffects: text,
    admissionReviewVersions: texts,
  },
  {
    rules: list(rule),
    failurePolicy: oneOf("Fail", "Ignore"),
    matchPolicy: oneOf("Exact", "Equivalent"),
    namespaceSelector: labelSelector,
    objectSelector: labelSelector,
    timeoutSeconds: int32,
    reinvocationPolicy: oneOf("Never", "IfNeeded"),
    matchConditions: mergeList(struct({ name: text, expression: text }, {}), "name"),
  },
);
export type Webhook = Static<typeof webhook>;
export type WebhookRule = Static<typeof rule>;

export interface WebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly Webhook[];
}

function configurationKind(name: "Validating" | "Mutating"): Kind<WebhookConfiguration> {
  const kind = `${name}WebhookConfiguration`;
  return {
    group: "admissionregistration.k8s.io",
    versions: ["v1"],
    kind,
    plural: `${kind.toLowerCase()}s`,
    singular: kind.toLowerCase(),
    shortNames: [],
    categories: ["api-extensions"],
    namespaced: false,
    origin: "builtin",
    subresources: [],
    summary: `${kind} describes admission webhooks that may ${name === "Mutating" ? "change or refuse" : "refuse"} objects.`,
    schema: struct({}, { webhooks: mergeList(webhook, "name"), status: anything }),
    columns: [
      nameColumn,
      { name: "Webhooks", type: "integer", priority: 0, value: ({ webhooks }) => (webhooks ?? []).length },
      ageColumn,
    ] satisfies readonly Column<WebhookConfiguration>[],
    applyDefaults: (object) =>
      object.webhooks === undefined ? object : { ...object, webhooks: object.webhooks.map(webhookDefaults) },
    check: checkConfiguration,
  };
}

export const validatingWebhookConfigurationKind = configurationKind("Validating");
export const mutatingWebhookConfigurationKind = configurationKind("Mutating");

function webhookDefaults(given: Webhook): Webhook {
  return { failurePolicy: "Fail", matchPolicy: "Equivalent", timeoutSeconds: 10, ...given };
}

function checkConfiguration(object: WebhookConfiguration): readonly Issue[] {
  return (object.webhooks ?? []).flatMap((each, index) => checkWebhook(each, `webhooks[${index}]`));
}

function checkWebhook(webhook: Webhook, path: string): readonly Issue[] {
  const issues: Issue[] = checkClient(webhook, `${path}.clientConfig`);
  if (!webhook.admissionReviewVersions.includes("v1")) {
    issues.push(errorIssue(`${path}.admissionReviewVersions`, "must include v1", "required"));
  }
  if (webhook.sideEffects !== "None" && webhook.sideEffects !== "NoneOnDryRun") {
    issues.push(errorIssue(`${path}.sideEffects`, 'supported values: "None", "NoneOnDryRun"', "unsupported"));
  }
  const seconds = webhook.timeoutSeconds ?? 10;
  if (seconds < 1 || seconds > 30) {
    issues.push(errorIssue(`${path}.timeoutSeconds`, "the timeout value must be between 1 and 30 seconds"));
  }
  if ((webhook.matchConditions ?? []).length > 0) {
    issues.push(warningIssue(`${path}.matchConditions`, "has no effect on the local cluster"));
  }
  if (webhook.reinvocationPolicy === "IfNeeded") {
    issues.push(
      warningIssue(`${path}.reinvocationPolicy`, "has no effect on the local cluster: each webhook is asked once"),
    );
  }
  return issues;
}

function checkClient({ clientConfig: { url, service } }: Webhook, path: string): Issue[] {
  const issues: Issue[] = [];
  if ((url === undefined) === (service === undefined)) {
    issues.push(errorIssue(path, "exactly one of url or service is required", "required"));
  }
  if (url !== undefined && !/^https:\/\//.test(url)) {
    issues.push(errorIssue(`${path}.url`, "'https' is the only allowed URL scheme"));
  }
  return issues;
}
