// Every namespace has a ServiceAccount `default`.

import { namespaceKind } from "../api/kubernetes/namespace.ts";
import { serviceAccountKind } from "../api/kubernetes/service-account.ts";
import { type Controller, type ControllerContext, failed, isRace, runController } from "./controller.ts";
import { keyOf, refOf } from "./owner.ts";
import { DONE, type Outcome } from "./work-queue.ts";

const NAME = "default";

export function startServiceAccounts(context: ControllerContext): Controller {
  return runController(context, {
    name: "serviceaccount",
    feed: (feed) => {
      feed.watch(namespaceKind, (namespace) => [keyOf(namespace)]);
      feed.watch(serviceAccountKind, (account, change) => {
        return change === "deleted" && account.metadata.name === NAME ? [`/${account.metadata.namespace}`] : [];
      });
    },
    reconcile: (key) => reconcile(key, context),
  });
}

async function reconcile(key: string, { client }: ControllerContext): Promise<Outcome> {
  const namespace = await client.get(namespaceKind, refOf(key));
  if (!namespace.ok) return namespace.error.code === 404 ? DONE : failed("reading the namespace", namespace.error);
  const { deletionTimestamp, name } = namespace.value.metadata;
  if (deletionTimestamp !== undefined) return DONE;
  const known = await client.get(serviceAccountKind, { namespace: name, name: NAME });
  if (known.ok) return DONE;
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: NAME, namespace: name } };
  const made = await client.create(serviceAccountKind, account);
  return made.ok || isRace(made.error) ? DONE : failed("making the default ServiceAccount", made.error);
}
