// ProxyConfig: how the proxies of some workloads run.

import { type Static, Type } from "typebox";
import { ageColumn } from "../columns.ts";
import { errorIssue, type Issue } from "../issue.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { istioHead } from "./head.ts";
import { type Ineffective, warnIneffective } from "./ineffective.ts";
import { int32, labelMap, meshStatus, workloadSelector } from "./shapes.ts";

const schema = Type.Object({
  spec: Type.Optional(
    Type.Object({
      selector: Type.Optional(workloadSelector),
      concurrency: Type.Optional(int32),
      environmentVariables: Type.Optional(labelMap),
      image: Type.Optional(Type.Object({ imageType: Type.Optional(Type.String()) })),
    }),
  ),
  status: Type.Optional(meshStatus),
});

export type ProxyConfig = KubeObject & Static<typeof schema>;

export const proxyConfigIneffective: readonly Ineffective[] = [
  { field: "spec.concurrency", effect: "a sidecar of weft serves with one thread" },
];

export const proxyConfigKind: Kind<ProxyConfig> = {
  ...istioHead("networking"),
  versions: ["v1beta1"],
  kind: "ProxyConfig",
  plural: "proxyconfigs",
  singular: "proxyconfig",
  shortNames: [],
  schema,
  columns: [ageColumn],
  check: (object) => [...checkProxyConfig(object), ...warnIneffective(object, proxyConfigIneffective)],
};

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

function checkProxyConfig({ spec }: ProxyConfig): readonly Issue[] {
  const issues: Issue[] = [];
  if ((spec?.concurrency ?? 0) < 0) issues.push(errorIssue("spec.concurrency", "must be greater than or equal to 0"));
  for (const name of Object.keys(spec?.environmentVariables ?? {})) {
    if (VARIABLE.test(name)) continue;
    issues.push(errorIssue("spec.environmentVariables", `${JSON.stringify(name)} is not the name of a variable`));
  }
  return issues;
}
