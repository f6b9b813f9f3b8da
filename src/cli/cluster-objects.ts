// All objects of the running local cluster that the mesh looks at, over its API.

import { ANALYZED } from "../analyze/kinds.ts";
import type { ListOptions } from "../api/client.ts";
import { apiVersionOf, type Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";
import { validateStructure } from "../api/validate.ts";
import { isRecord } from "../base/json.ts";
import { askApi, type Credentials, readCredentials } from "../cluster/remote.ts";
import { readState } from "../cluster/state.ts";
import { CommandFailure } from "./command.ts";
import { existingDataDir } from "./data-dir.ts";

export async function readCluster(dataDir: string): Promise<readonly KubeObject[]> {
  const dir = existingDataDir(dataDir);
  if (readState(dir) === undefined) {
    throw new CommandFailure(`no cluster runs on ${dir.root}`, {
      next: 'Start it with "weft up -d", or name manifests with -f.',
    });
  }
  const credentials = readCredentials(dir.kubeconfig);
  if (!credentials.ok) throw new CommandFailure(`cannot read ${dir.kubeconfig}: ${credentials.error}`);
  const lists = await Promise.all(ANALYZED.map((each) => readKind(credentials.value, each.kind, each.which)));
  return lists.flat();
}

async function readKind(credentials: Credentials, kind: Kind, which: ListOptions): Promise<readonly KubeObject[]> {
  const query = new URLSearchParams();
  if (which.labelSelector !== undefined) query.set("labelSelector", which.labelSelector);
  if (which.fieldSelector !== undefined) query.set("fieldSelector", which.fieldSelector);
  const path = `${kind.group === "" ? "/api" : "/apis"}/${apiVersionOf(kind)}/${kind.plural}?${query}`;
  const answer = await askApi(credentials, { method: "GET", path });
  if (!answer.ok) throw new CommandFailure(`the API does not answer: ${answer.error}`, { next: 'See "weft status".' });
  // A cluster of another version may not have the kind.
  if (answer.value.status === 404) return [];
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
