// All objects of the running local cluster that the mesh looks at, over its API.

import { istioKinds } from "../api/istio/kinds.ts";
import { apiVersionOf, eraseKind, type Kind } from "../api/kind.ts";
import { deploymentKind } from "../api/kubernetes/deployment.ts";
import { endpointSliceKind } from "../api/kubernetes/endpoint-slice.ts";
import { namespaceKind } from "../api/kubernetes/namespace.ts";
import { podKind } from "../api/kubernetes/pod.ts";
import { serviceKind } from "../api/kubernetes/service.ts";
import type { KubeObject } from "../api/object.ts";
import { validateStructure } from "../api/validate.ts";
import { isRecord } from "../base/json.ts";
import { askApi, type Credentials, readCredentials } from "../cluster/remote.ts";
import { readState } from "../cluster/state.ts";
import { CommandFailure } from "./command.ts";
import { existingDataDir } from "./data-dir.ts";

const KINDS: readonly Kind[] = [
  eraseKind(namespaceKind),
  eraseKind(serviceKind),
  eraseKind(endpointSliceKind),
  eraseKind(podKind),
  eraseKind(deploymentKind),
  ...istioKinds,
];

export async function readCluster(dataDir: string): Promise<readonly KubeObject[]> {
  const dir = existingDataDir(dataDir);
  if (readState(dir) === undefined) {
    throw new CommandFailure(`no cluster runs on ${dir.root}`, {
      next: 'Start it with "weft up -d", or name manifests with -f.',
    });
  }
  const credentials = readCredentials(dir.kubeconfig);
  if (!credentials.ok) throw new CommandFailure(`cannot read ${dir.kubeconfig}: ${credentials.error}`);
  const lists = await Promise.all(KINDS.map((kind) => readKind(credentials.value, kind)));
  return lists.flat();
}

async function readKind(credentials: Credentials, kind: Kind): Promise<readonly KubeObject[]> {
  const path = `${kind.group === "" ? "/api" : "/apis"}/${apiVersionOf(kind)}/${kind.plural}`;
  const answer = await askApi(credentials, { method: "GET", path });
  if (!answer.ok) throw new CommandFailure(`the API does not answer: ${answer.error}`, { next: 'See "weft status".' });
  const items = isRecord(answer.value.body) ? answer.value.body["items"] : undefined;
  if (!Array.isArray(items)) {
    throw new CommandFailure(`the API answered ${answer.value.status} to ${path} without a list`);
  }
  // The items of a list leave out what the list says already.
  return items.filter(isRecord).map((item) => {
    const whole = { ...item, apiVersion: apiVersionOf(kind), kind: kind.kind };
    return validateStructure(kind, whole).object;
  });
}
