// Logs of a container, and which container of which pod a request means.

import { eraseKind } from "../api/kind.ts";
import type { Pod } from "../api/kubernetes/pod.ts";
import { podKind } from "../api/kubernetes/pod.ts";
import type { KubeObject } from "../api/object.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type ApiRequest, type Reply, replyFailed } from "./http.ts";
import { STREAM_BUFFER_BYTES_MAX } from "./limits.ts";
import type { ContainerRef, LogOptions, PodRuntime } from "./pod-runtime.ts";
import type { Resources } from "./resources.ts";
import type { ResourceRoute } from "./route.ts";
import { type ApiFailure, badRequest } from "./status.ts";

const DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container";

/** `asked` is "*" where any container will do: what is wanted is the pod. */
export async function findContainer(
  resources: Resources,
  route: Pick<ResourceRoute, "namespace" | "name">,
  asked: string | null,
): Promise<Result<{ pod: Pod; ref: ContainerRef }, ApiFailure>> {
  const { namespace = "", name = "" } = route;
  const found = await resources.get(eraseKind(podKind), { namespace, name });
  if (!found.ok) return found;
  const pod = found.value;
  if (!isPod(pod)) return err(badRequest(`${name} is no pod`));
  const names = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map((container) => container.name);
  const preferred = pod.metadata.annotations?.[DEFAULT_CONTAINER];
  const single = pod.spec.containers.length === 1 ? pod.spec.containers[0]?.name : undefined;
  const container = asked !== null && asked !== "" ? asked : (single ?? preferred);
  if (container === "*")
    return ok({ pod, ref: { namespace, pod: name, uid: pod.metadata.uid ?? "", container: names[0] ?? "" } });
  if (container === undefined) {
    return err(badRequest(`a container name must be specified for pod ${name}, choose one of: [${names.join(" ")}]`));
  }
  if (!names.includes(container)) return err(badRequest(`container ${container} is not valid for pod ${name}`));
  return ok({ pod, ref: { namespace, pod: name, uid: pod.metadata.uid ?? "", container } });
}

function isPod(object: KubeObject): object is Pod {
  return object.kind === podKind.kind;
}

export async function handleLogs(
  context: { readonly resources: Resources; readonly runtime: PodRuntime; readonly nowMs: number },
  request: ApiRequest,
  route: ResourceRoute,
): Promise<Reply> {
  const options = logOptions(request.query, context.nowMs);
  if (!options.ok) return replyFailed(options.error);
  const found = await findContainer(context.resources, route, request.query.get("container"));
  if (!found.ok) return replyFailed(found.error);
  const logs = await context.runtime.logs(found.value.ref, options.value);
  if (!logs.ok) return replyFailed(logs.error);
  const source = logs.value;
  return {
    kind: "stream",
    run: (response) => {
      response.writeHead(200, { "content-type": "text/plain" });
      response.flushHeaders();
      response.on("close", () => source.destroy());
      source.on("error", () => response.destroy());
      source.on("data", (chunk: Buffer) => {
        response.write(chunk);
        if (response.writableLength > STREAM_BUFFER_BYTES_MAX) {
          source.pause();
          response.once("drain", () => source.resume());
        }
      });
      source.on("end", () => response.end());
    },
  };
}

function logOptions(query: URLSearchParams, nowMs: number): Result<LogOptions, ApiFailure> {
  const numbers: Record<string, number | undefined> = {};
  for (const name of ["tailLines", "sinceSeconds", "limitBytes"]) {
    const text = query.get(name);
    if (text === null) continue;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 0) {
      return err(badRequest(`${name}: Invalid value: ${JSON.stringify(text)}: must be a whole number of at least 0`));
    }
    numbers[name] = value;
  }
  const sinceSeconds = numbers["sinceSeconds"];
  const sinceTime = query.get("sinceTime");
  const parsed = sinceTime === null ? undefined : Date.parse(sinceTime);
  if (parsed !== undefined && Number.isNaN(parsed))
    return err(badRequest(`sinceTime: Invalid value: ${JSON.stringify(sinceTime)}`));
  return ok({
    follow: query.get("follow") === "true",
    previous: query.get("previous") === "true",
    timestamps: query.get("timestamps") === "true",
    tailLines: numbers["tailLines"],
    sinceMs: sinceSeconds === undefined ? parsed : nowMs - sinceSeconds * 1000,
    limitBytes: numbers["limitBytes"],
  });
}
