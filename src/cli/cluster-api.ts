// The local cluster's API for commands that read and change any kind, the user's own too.

import { istioKinds } from "../api/istio/kinds.ts";
import { apiVersionOf, type Kind } from "../api/kind.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import { makeRegistry } from "../api/registry.ts";
import { isRecord } from "../base/json.ts";
import { askApi, type Credentials, type RemoteRequest, readCredentials } from "../cluster/remote.ts";
import { readState } from "../cluster/state.ts";
import { CommandFailure } from "./command.ts";
import { existingDataDir } from "./data-dir.ts";
import { paint } from "./output.ts";

/** What a command has to know of a kind: where its objects are. */
export type Place = Pick<Kind, "group" | "versions" | "plural" | "singular" | "namespaced">;

export interface ClusterApi {
  readonly credentials: Credentials;
  /** `pod`, `po`, `virtualservices.networking.istio.io`, or a kind that a definition in the cluster brings. */
  place(name: string): Promise<Place>;
  /** The answer's body; a refusal is the command's failure. */
  ask(request: RemoteRequest): Promise<unknown>;
}

export function openClusterApi(dataDir: string): ClusterApi {
  const dir = existingDataDir(dataDir);
  if (readState(dir) === undefined) {
    throw new CommandFailure(`no cluster runs on ${dir.root}`, { next: 'Start it with "weft up -d".' });
  }
  const found = readCredentials(dir.kubeconfig);
  if (!found.ok) throw new CommandFailure(`cannot read ${dir.kubeconfig}: ${found.error}`);
  const credentials = found.value;
  const registry = makeRegistry([...kubernetesKinds, ...istioKinds]);
  const ask = async (request: RemoteRequest): Promise<unknown> => {
    const answer = await askApi(credentials, request);
    if (!answer.ok)
      throw new CommandFailure(`the API does not answer: ${answer.error}`, { next: 'See "weft status".' });
    const { status, body, warnings } = answer.value;
    for (const warning of warnings) console.error(`${paint("yellow", "Warning:", process.stderr)} ${warning}`);
    if (status < 300) return body;
    const message = isRecord(body) ? body["message"] : undefined;
    throw new CommandFailure(String(message ?? `the API answered ${status}`));
  };
  return {
    credentials,
    ask,
    place: async (name) => registry.byAnyName(name) ?? (await customPlace(name, ask)),
  };
}

async function customPlace(name: string, ask: ClusterApi["ask"]): Promise<Place> {
  const list = await ask({ method: "GET", path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions" });
  const items = isRecord(list) && Array.isArray(list["items"]) ? list["items"].filter(isRecord) : [];
  const wanted = name.toLowerCase();
  for (const { spec } of items) {
    const names = isRecord(spec) && isRecord(spec["names"]) ? spec["names"] : {};
    if (!isRecord(spec)) continue;
    const plural = String(names["plural"]);
    const short = Array.isArray(names["shortNames"]) ? names["shortNames"].map(String) : [];
    const known = [plural, `${plural}.${spec["group"]}`, names["singular"], ...short, names["kind"]];
    if (!known.some((each) => String(each).toLowerCase() === wanted)) continue;
    const versions = Array.isArray(spec["versions"]) ? spec["versions"].filter(isRecord) : [];
    const version = versions.find(({ storage }) => storage === true)?.["name"];
    return {
      group: String(spec["group"]),
      versions: [String(version)],
      plural,
      singular: String(names["singular"] ?? plural),
      namespaced: spec["scope"] === "Namespaced",
    };
  }
  throw new CommandFailure(`the cluster has no kind ${JSON.stringify(name)}`, {
    next: "Name one as kubectl does: pods, deploy, virtualservices, …",
    exitCode: 2,
  });
}

/** `namespace` undefined: all of them. */
export function pathOf(place: Place, namespace: string | undefined, name?: string): string {
  const base = `${place.group === "" ? "/api" : "/apis"}/${apiVersionOf(place)}`;
  const scope = place.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${base}${scope}/${place.plural}${name === undefined ? "" : `/${encodeURIComponent(name)}`}`;
}

export interface Named {
  readonly kind: string;
  readonly name: string | undefined;
}

/** `KIND`, `KIND NAME…`, `KIND/NAME…`, `KIND,KIND`. */
export function readResources(words: readonly string[]): readonly Named[] {
  const [first = "", ...names] = words;
  if (words.some((word) => word.includes("/"))) {
    return words.map((word) => {
      const [kind = "", name = "", ...rest] = word.split("/");
      if (name !== "" && rest.length === 0) return { kind, name };
      throw new CommandFailure(`${word} is no KIND/NAME`, { next: "Write all of them as KIND/NAME.", exitCode: 2 });
    });
  }
  const kinds = first.split(",").filter((kind) => kind !== "");
  if (names.length === 0) return kinds.map((kind) => ({ kind, name: undefined }));
  return kinds.flatMap((kind) => names.map((name) => ({ kind, name })));
}
