// The part of a Kubernetes client that applying needs, over HTTPS with a kubeconfig's credentials.

import type { ApiError } from "../api/client.ts";
import { apiVersionOf, type Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";
import { validateStructure } from "../api/validate.ts";
import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { ApplyClient } from "./apply.ts";
import { askApi, type Credentials, type RemoteRequest } from "./remote.ts";

const NO_ANSWER = 503;

/** `onWarning` gets what the server says beside its answers. */
export function makeRemoteClient(credentials: Credentials, onWarning: (text: string) => void): ApplyClient {
  const ask = async <T extends KubeObject>(kind: Kind<T>, request: RemoteRequest): Promise<Result<T, ApiError>> => {
    const answer = await askApi(credentials, request);
    if (!answer.ok) return err({ code: NO_ANSWER, reason: "ServiceUnavailable", message: answer.error });
    for (const warning of answer.value.warnings) onWarning(warning);
    const { status, body } = answer.value;
    // What the server sends has passed the same schema there.
    if (status < 300) return ok(validateStructure(kind, body).object);
    const { reason, message } = isRecord(body) ? body : {};
    return err({ code: status, reason: String(reason ?? ""), message: String(message ?? `HTTP ${status}`) });
  };
  return {
    get: (kind, ref) => ask(kind, { method: "GET", path: pathOf(kind, ref.namespace, ref.name) }),
    create: (kind, object) =>
      ask(kind, {
        method: "POST",
        path: `${pathOf(kind, object.metadata.namespace)}?fieldValidation=Strict`,
        body: object,
      }),
    mergePatch: (kind, ref, patch) =>
      ask(kind, {
        method: "PATCH",
        path: `${pathOf(kind, ref.namespace, ref.name)}?fieldValidation=Strict`,
        body: patch.body,
        contentType: "application/merge-patch+json",
      }),
  };
}

function pathOf(kind: Pick<Kind, "group" | "versions" | "plural">, namespace?: string, name?: string): string {
  const base = `${kind.group === "" ? "/api" : "/apis"}/${apiVersionOf(kind)}`;
  const scope = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${base}${scope}/${kind.plural}${name === undefined ? "" : `/${encodeURIComponent(name)}`}`;
}
