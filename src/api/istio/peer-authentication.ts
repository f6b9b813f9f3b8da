// PeerAuthentication: which connections a workload accepts.

import { type Static, Type } from "typebox";
import { ageColumn, pathColumn } from "../columns.ts";
import { errorIssue, type Issue } from "../issue.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { istioHead } from "./head.ts";
import { quote } from "./rules.ts";
import { mapOf, meshStatus, oneOf, workloadSelector } from "./shapes.ts";

const mtls = Type.Object({ mode: Type.Optional(oneOf(["UNSET", "DISABLE", "PERMISSIVE", "STRICT"])) });

const schema = Type.Object({
  spec: Type.Optional(
    Type.Object({
      selector: Type.Optional(workloadSelector),
      mtls: Type.Optional(mtls),
      portLevelMtls: Type.Optional(mapOf(mtls, { minProperties: 1 })),
    }),
  ),
  status: Type.Optional(meshStatus),
});

export type PeerAuthentication = KubeObject & Static<typeof schema>;
export type MtlsMode = "UNSET" | "DISABLE" | "PERMISSIVE" | "STRICT";

export const peerAuthenticationKind: Kind<PeerAuthentication> = {
  ...istioHead("security"),
  versions: ["v1", "v1beta1"],
  kind: "PeerAuthentication",
  plural: "peerauthentications",
  singular: "peerauthentication",
  shortNames: ["pa"],
  schema,
  columns: [pathColumn("Mode", ".spec.mtls.mode"), ageColumn],
  check: checkPeerAuthentication,
};

function checkPeerAuthentication(object: PeerAuthentication): readonly Issue[] {
  const portLevel = object.spec?.portLevelMtls;
  if (portLevel === undefined) return [];
  const issues: Issue[] = [];
  const labels = object.spec?.selector?.matchLabels;
  if (labels === undefined || Object.keys(labels).length === 0) {
    issues.push(errorIssue("spec.portLevelMtls", "portLevelMtls requires selector"));
  }
  if (Object.keys(portLevel).length === 0) {
    issues.push(errorIssue("spec.portLevelMtls", "spec.portLevelMtls in body should have at least 1 properties"));
  }
  for (const port of Object.keys(portLevel)) issues.push(...checkPortKey(port));
  return issues;
}

function checkPortKey(port: string): readonly Issue[] {
  const path = `spec.portLevelMtls[${port}]`;
  if (!/^\d+$/.test(port)) {
    return [errorIssue(path, `the key must be a port number: type conversion error from ${quote(port)} to integer`)];
  }
  const value = Number(port);
  return value >= 1 && value <= 65_535 ? [] : [errorIssue(path, "port must be between 1-65535")];
}
