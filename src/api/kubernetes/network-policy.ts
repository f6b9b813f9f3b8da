// NetworkPolicy: which connections pods may have.

import { isIP } from "node:net";
import type { Static } from "typebox";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue, type Issue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { int32, intOrString, labelSelector, list, oneOf, struct, text, texts } from "./fields.ts";
import { selectorCell } from "./workload.ts";

const peer = struct(
  {},
  {
    podSelector: labelSelector,
    namespaceSelector: labelSelector,
    ipBlock: struct({ cidr: text }, { except: texts }),
  },
);
const port = struct({}, { protocol: oneOf("TCP", "UDP", "SCTP"), port: intOrString, endPort: int32 });
const policySpec = struct(
  {},
  {
    podSelector: labelSelector,
    policyTypes: list(oneOf("Ingress", "Egress")),
    ingress: list(struct({}, { from: list(peer), ports: list(port) })),
    egress: list(struct({}, { to: list(peer), ports: list(port) })),
  },
);

export interface NetworkPolicy extends KubeObject {
  readonly spec?: Static<typeof policySpec>;
}

export const networkPolicyKind: Kind<NetworkPolicy> = {
  group: "networking.k8s.io",
  versions: ["v1"],
  kind: "NetworkPolicy",
  plural: "networkpolicies",
  singular: "networkpolicy",
  shortNames: ["netpol"],
  categories: [],
  namespaced: true,
  origin: "builtin",
  subresources: [],
  summary: "NetworkPolicy describes what network traffic is allowed for a set of pods.",
  schema: struct({}, { spec: policySpec }),
  columns: [
    nameColumn,
    { name: "Pod-Selector", type: "string", priority: 0, value: ({ spec }) => selectorCell(spec?.podSelector ?? {}) },
    ageColumn,
  ] satisfies readonly Column<NetworkPolicy>[],
  applyDefaults: (policy) => ({
    ...policy,
    spec: {
      podSelector: {},
      policyTypes: policy.spec?.egress === undefined ? ["Ingress"] : ["Ingress", "Egress"],
      ...policy.spec,
    },
  }),
  check: checkPolicy,
};

function checkPolicy({ spec }: NetworkPolicy): readonly Issue[] {
  const issues: Issue[] = [];
  const peers = [
    ...(spec?.ingress ?? []).flatMap(({ from = [] }, index) =>
      from.map((each) => ({ each, at: `spec.ingress[${index}].from` })),
    ),
    ...(spec?.egress ?? []).flatMap(({ to = [] }, index) =>
      to.map((each) => ({ each, at: `spec.egress[${index}].to` })),
    ),
  ];
  for (const { each, at } of peers) {
    if (each.ipBlock !== undefined && (each.podSelector !== undefined || each.namespaceSelector !== undefined)) {
      issues.push(errorIssue(at, "may not specify both ipBlock and another peer", "immutable"));
    }
    const cidrs = each.ipBlock === undefined ? [] : [each.ipBlock.cidr, ...(each.ipBlock.except ?? [])];
    for (const cidr of cidrs) {
      const [address = "", bits = ""] = cidr.split("/");
      if (isIP(address) === 0 || !/^\d+$/.test(bits))
        issues.push(errorIssue(`${at}.ipBlock`, `not a valid CIDR: ${cidr}`));
    }
  }
  return issues;
}
