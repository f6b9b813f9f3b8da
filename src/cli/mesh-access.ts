// How commands look into a running mesh: the control plane's pages and the proxies' admin interfaces, by way of the API.

import { isRecord, parseJson } from "../base/json.ts";
import { askApi, askText, type Credentials, readCredentials } from "../cluster/remote.ts";
import { readState } from "../cluster/state.ts";
import { CommandFailure } from "./command.ts";
import { existingDataDir } from "./data-dir.ts";

const ADMIN_PORT = 15_000;
const CONTROL_PLANE = "/api/v1/namespaces/istio-system/services/istiod:15014/proxy";

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** One whose proxy can be asked. */
export interface ProxyPod extends PodName {
  readonly ip: string;
  readonly serviceAccount: string;
}

export class MeshAccess {
  readonly #credentials: Credentials;

  constructor(dataDir: string) {
    const dir = existingDataDir(dataDir);
    if (readState(dir) === undefined) {
      throw new CommandFailure(`no cluster runs on ${dir.root}`, { next: 'Start it with "weft up -d".' });
    }
    const credentials = readCredentials(dir.kubeconfig);
    if (!credentials.ok) throw new CommandFailure(`cannot read ${dir.kubeconfig}: ${credentials.error}`);
    this.#credentials = credentials.value;
  }

  /** A page of the control plane's port 15014. */
  async controlPage(path: string): Promise<unknown> {
    const text = await this.#text("GET", `${CONTROL_PLANE}${path}`, `the control plane's ${path}`);
    return readJson(text, path);
  }

  /** An answer of a proxy's admin interface. */
  async adminText(pod: PodName, path: string, method: "GET" | "POST" = "GET"): Promise<string> {
    const at = `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}:${ADMIN_PORT}/proxy${path}`;
    return this.#text(method, at, `the proxy of ${pod.namespace}/${pod.name}`);
  }

  async adminJson(pod: PodName, path: string): Promise<unknown> {
    return readJson(await this.adminText(pod, path), path);
  }

  /** An object by its path; undefined where there is none. */
  async object(path: string): Promise<unknown> {
    const answer = await askApi(this.#credentials, { method: "GET", path });
    if (!answer.ok)
      throw new CommandFailure(`the API does not answer: ${answer.error}`, { next: 'See "weft status".' });
    if (answer.value.status === 404) return undefined;
    if (answer.value.status < 300) return answer.value.body;
    throw new CommandFailure(`the API answered ${answer.value.status} to ${path}`);
  }

  /** `api-v1-0`, `api-v1-0.shop`, `deploy/api`, `svc/api.shop`: a pod, or the first one of what is named. */
  async findPod(text: string, namespace: string | undefined): Promise<PodName> {
    const found = await this.findPods(text, namespace);
    return only(text, text.includes("/") && !isPod(text) ? found.slice(0, 1) : found);
  }

  /** All pods of what is named; none: there is no such thing, or it has none. */
  async findPods(text: string, namespace: string | undefined): Promise<readonly PodName[]> {
    const [kind, rest] = text.includes("/") ? splitOnce(text, "/") : ["pod", text];
    const [name, own] = rest.includes(".") ? splitLast(rest, ".") : [rest, undefined];
    const home = own ?? namespace;
    const pods = (await this.#list("/api/v1", "pods", home)).filter(
      (pod) => home === undefined || nameOf(pod).namespace === home,
    );
    if (PODS.includes(kind)) return pods.map(nameOf).filter((pod) => pod.name === name);
    const plural = OWNERS[kind];
    if (plural === undefined) {
      throw new CommandFailure(`${kind}/${name} is nothing that pods belong to`, {
        next: `Name a pod, or one of ${Object.keys(OWNERS).join(", ")}.`,
        exitCode: 2,
      });
    }
    const owners = await this.#list(plural.path, plural.plural, home);
    const owner = owners.filter((each) => nameOf(each).name === name);
    const found = owner.flatMap((each) =>
      pods.filter((pod) => nameOf(pod).namespace === nameOf(each).namespace && selects(each, pod)),
    );
    return found.map(nameOf);
  }

  /** Pods with a sidecar or a gateway's proxy. */
  async proxies(): Promise<readonly ProxyPod[]> {
    return (await this.#list("/api/v1", "pods", undefined)).flatMap((pod) => {
      const spec = isRecord(pod) && isRecord(pod["spec"]) ? pod["spec"] : {};
      const status = isRecord(pod) && isRecord(pod["status"]) ? pod["status"] : {};
      const containers = [spec["containers"], spec["initContainers"]].flatMap((list) =>
        Array.isArray(list) ? list : [],
      );
      const hasProxy = containers.filter(isRecord).some(({ name }) => name === "istio-proxy");
      const ip = String(status["podIP"] ?? "");
      const serviceAccount = String(spec["serviceAccountName"] ?? "default");
      return hasProxy && ip !== "" ? [{ ...nameOf(pod), ip, serviceAccount }] : [];
    });
  }

  async #list(path: string, plural: string, namespace: string | undefined): Promise<readonly unknown[]> {
    const scope = namespace === undefined ? "" : `/namespaces/${namespace}`;
    const answer = await askApi(this.#credentials, { method: "GET", path: `${path}${scope}/${plural}` });
    if (!answer.ok)
      throw new CommandFailure(`the API does not answer: ${answer.error}`, { next: 'See "weft status".' });
    const items = isRecord(answer.value.body) ? answer.value.body["items"] : undefined;
    return Array.isArray(items) ? items : [];
  }

  async #text(method: "GET" | "POST", path: string, what: string): Promise<string> {
    const answer = await askText(this.#credentials, { method, path });
    if (!answer.ok)
      throw new CommandFailure(`the API does not answer: ${answer.error}`, { next: 'See "weft status".' });
    const { status, text } = answer.value;
    if (status < 300) return text;
    const body = parseJson(text);
    const message = body.ok && isRecord(body.value) ? String(body.value["message"] ?? text) : text.trim();
    const next = status === 502 ? "It has no sidecar, or the sidecar does not run yet: see its containers." : undefined;
    throw new CommandFailure(`${what}: ${message}`, next === undefined ? {} : { next });
  }
}

const PODS = ["pod", "pods", "po"];

function isPod(text: string): boolean {
  return PODS.includes(splitOnce(text, "/")[0]);
}

const OWNERS: Readonly<Record<string, { readonly path: string; readonly plural: string }>> = {
  deploy: { path: "/apis/apps/v1", plural: "deployments" },
  deployment: { path: "/apis/apps/v1", plural: "deployments" },
  rs: { path: "/apis/apps/v1", plural: "replicasets" },
  replicaset: { path: "/apis/apps/v1", plural: "replicasets" },
  svc: { path: "/api/v1", plural: "services" },
  service: { path: "/api/v1", plural: "services" },
};

function only(text: string, found: readonly PodName[]): PodName {
  const [first, ...more] = found;
  if (first !== undefined && more.length === 0) return first;
  if (first === undefined) {
    throw new CommandFailure(`there is no pod ${text}`, { next: 'List them with "weft proxy-status".' });
  }
  const names = found.map(({ namespace, name }) => `${name}.${namespace}`).join(", ");
  throw new CommandFailure(`${text} is more than one pod: ${names}`, { next: "Name the namespace with -n." });
}

function nameOf(object: unknown): PodName {
  const metadata = isRecord(object) && isRecord(object["metadata"]) ? object["metadata"] : {};
  return { namespace: String(metadata["namespace"] ?? ""), name: String(metadata["name"] ?? "") };
}

/** By the labels that a Service or a workload asks for. */
function selects(owner: unknown, pod: unknown): boolean {
  const spec = isRecord(owner) && isRecord(owner["spec"]) ? owner["spec"] : {};
  const selector = isRecord(spec["selector"]) ? spec["selector"] : {};
  const wanted = isRecord(selector["matchLabels"]) ? selector["matchLabels"] : selector;
  const metadata = isRecord(pod) && isRecord(pod["metadata"]) ? pod["metadata"] : {};
  const labels = isRecord(metadata["labels"]) ? metadata["labels"] : {};
  const entries = Object.entries(wanted);
  return entries.length > 0 && entries.every(([key, value]) => labels[key] === value);
}

function readJson(text: string, what: string): unknown {
  const parsed = parseJson(text);
  if (!parsed.ok) throw new CommandFailure(`${what} is not JSON: ${parsed.error}`);
  return parsed.value;
}

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return [text.slice(0, at), text.slice(at + 1)];
}

function splitLast(text: string, mark: string): [string, string] {
  const at = text.lastIndexOf(mark);
  return [text.slice(0, at), text.slice(at + 1)];
}
