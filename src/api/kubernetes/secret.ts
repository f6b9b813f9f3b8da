// Secret: bytes for pods to read, which nothing prints.

import { deepEqual } from "../../base/equal.ts";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue } from "../issue.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { checkDataKeys } from "./config-map.ts";
import { bytes, dict, flag, struct, text, textMap } from "./fields.ts";

export interface Secret extends KubeObject {
  readonly type?: string;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
  /** Written only: merged into `data` and never read back. */
  readonly stringData?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

export const secretKind: Kind<Secret> = {
  group: "",
  versions: ["v1"],
  kind: "Secret",
  plural: "secrets",
  singular: "secret",
  shortNames: [],
  categories: [],
  namespaced: true,
  origin: "builtin",
  subresources: [],
  schema: struct({}, { type: text, data: dict(bytes), stringData: textMap, immutable: flag }),
  columns: [
    nameColumn,
    { name: "Type", type: "string", priority: 0, value: (object) => object.type ?? "Opaque" },
    { name: "Data", type: "string", priority: 0, value: (object) => String(Object.keys(object.data ?? {}).length) },
    ageColumn,
  ],
  applyDefaults: ({ stringData, ...object }) => {
    const written = Object.entries(stringData ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value).toString("base64"),
    ]);
    const data = { ...object.data, ...Object.fromEntries(written) };
    return {
      ...object,
      type: object.type ?? "Opaque",
      ...(object.data === undefined && stringData === undefined ? {} : { data }),
    };
  },
  check: (object, previous) => {
    const issues = checkDataKeys("data", object.data);
    if (previous !== undefined && previous.type !== object.type) {
      issues.push(errorIssue("type", "field is immutable"));
    }
    if (previous?.immutable === true && !deepEqual(previous.data, object.data)) {
      issues.push(errorIssue("data", "field is immutable when `immutable` is set", "immutable"));
    }
    return issues;
  },
};
