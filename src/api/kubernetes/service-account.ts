// ServiceAccount: who a pod is.

import { ageColumn, nameColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { imagePullSecrets } from "./container.ts";
import { flag, mergeList, objectReference, struct } from "./fields.ts";

const secrets = mergeList(objectReference, "name");

export interface ServiceAccount extends KubeObject {
  readonly secrets?: readonly { readonly name?: string }[];
  readonly imagePullSecrets?: readonly { readonly name?: string }[];
  readonly automountServiceAccountToken?: boolean;
}

export const serviceAccountKind: Kind<ServiceAccount> = {
  group: "",
  versions: ["v1"],
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  singular: "serviceaccount",
  shortNames: ["sa"],
  categories: [],
  namespaced: true,
  origin: "builtin",
  subresources: [],
  schema: struct({}, { secrets, imagePullSecrets, automountServiceAccountToken: flag }),
  columns: [
    nameColumn,
    { name: "Secrets", type: "string", priority: 0, value: (object) => String(object.secrets?.length ?? 0) },
    ageColumn,
  ],
};
