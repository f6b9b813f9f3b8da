// ConfigMap: text and bytes for pods to read.

import { deepEqual } from "../../base/equal.ts";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue, type Issue } from "../issue.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { bytes, dict, flag, struct, textMap } from "./fields.ts";

const DATA_KEY = /^[-._a-zA-Z0-9]{1,253}$/;

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
  /** Base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

export const configMapKind: Kind<ConfigMap> = {
  group: "",
  versions: ["v1"],
  kind: "ConfigMap",
  plural: "configmaps",
  singular: "configmap",
  shortNames: ["cm"],
  categories: [],
  namespaced: true,
  origin: "builtin",
  subresources: [],
  schema: struct({}, { data: textMap, binaryData: dict(bytes), immutable: flag }),
  columns: [
    nameColumn,
    {
      name: "Data",
      type: "string",
      priority: 0,
      value: (object) => String(Object.keys(object.data ?? {}).length + Object.keys(object.binaryData ?? {}).length),
    },
    ageColumn,
  ],
  check: (object, previous) => [
    ...checkDataKeys("data", object.data),
    ...checkDataKeys("binaryData", object.binaryData),
    ...(previous?.immutable === true && !deepEqual(previous.data, object.data)
      ? [errorIssue("data", "field is immutable when `immutable` is set", "immutable")]
      : []),
  ],
};

export function checkDataKeys(path: string, data: Readonly<Record<string, string>> | undefined): Issue[] {
  return Object.keys(data ?? {})
    .filter((key) => !DATA_KEY.test(key) || key === "." || key === "..")
    .map((key) =>
      errorIssue(`${path}[${key}]`, "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"),
    );
}
