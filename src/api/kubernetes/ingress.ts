// Ingress and IngressClass, as objects: the local cluster itself runs no controller for them.

import type { Static } from "typebox";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue, type Issue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { anything, int32, list, oneOf, struct, text, texts } from "./fields.ts";

const backend = struct(
  {},
  {
    service: struct({ name: text }, { port: struct({}, { name: text, number: int32 }) }),
    resource: struct({ kind: text, name: text }, { apiGroup: text }),
  },
);
const path = struct({ pathType: oneOf("Exact", "Prefix", "ImplementationSpecific"), backend }, { path: text });
const ingressSpec = struct(
  {},
  {
    ingressClassName: text,
    defaultBackend: backend,
    tls: list(struct({}, { hosts: texts, secretName: text })),
    rules: list(struct({}, { host: text, http: struct({ paths: list(path) }, {}) })),
  },
);
const point = struct({}, { ip: text, hostname: text, ports: list(anything) });

export interface Ingress extends KubeObject {
  readonly spec?: Static<typeof ingressSpec>;
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly Static<typeof point>[] } };
}

const shared = { group: "networking.k8s.io", versions: ["v1"], categories: [], origin: "builtin" } as const;

export const ingressKind: Kind<Ingress> = {
  ...shared,
  kind: "Ingress",
  plural: "ingresses",
  singular: "ingress",
  shortNames: ["ing"],
  namespaced: true,
  subresources: ["status"],
  keptOnly: "no controller of the local cluster acts on an Ingress: use a Gateway and a VirtualService",
  summary: "Ingress is a collection of rules that allow inbound connections to reach the endpoints of a backend.",
  schema: struct({}, { spec: ingressSpec, status: struct({}, { loadBalancer: struct({}, { ingress: list(point) }) }) }),
  columns: [
    nameColumn,
    { name: "Class", type: "string", priority: 0, value: ({ spec }) => spec?.ingressClassName ?? "<none>" },
    { name: "Hosts", type: "string", priority: 0, value: hostsCell },
    { name: "Address", type: "string", priority: 0, value: addressCell },
    {
      name: "Ports",
      type: "string",
      priority: 0,
      value: ({ spec }) => ((spec?.tls ?? []).length > 0 ? "80, 443" : "80"),
    },
    ageColumn,
  ] satisfies readonly Column<Ingress>[],
  check: checkIngress,
};

function hostsCell({ spec }: Ingress): string {
  const hosts = (spec?.rules ?? []).map(({ host }) => host ?? "*");
  return hosts.length === 0 ? "*" : hosts.join(",");
}

function addressCell({ status }: Ingress): string {
  return (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? "").join(",");
}

function checkIngress({ spec }: Ingress): readonly Issue[] {
  const issues: Issue[] = [];
  if (spec?.defaultBackend === undefined && (spec?.rules ?? []).length === 0) {
    issues.push(errorIssue("spec", "either `defaultBackend` or `rules` must be specified"));
  }
  for (const [ruleIndex, rule] of (spec?.rules ?? []).entries()) {
    for (const [index, each] of (rule.http?.paths ?? []).entries()) {
      if (each.pathType !== "ImplementationSpecific" && each.path?.startsWith("/") !== true) {
        issues.push(errorIssue(`spec.rules[${ruleIndex}].http.paths[${index}].path`, "must be an absolute path"));
      }
    }
  }
  return issues;
}

export interface IngressClass extends KubeObject {
  readonly spec?: { readonly controller?: string };
}

export const ingressClassKind: Kind<IngressClass> = {
  ...shared,
  kind: "IngressClass",
  plural: "ingressclasses",
  singular: "ingressclass",
  shortNames: [],
  namespaced: false,
  subresources: [],
  keptOnly: "no controller of the local cluster acts on an IngressClass",
  summary: "IngressClass represents the class of the Ingress.",
  schema: struct({}, { spec: struct({}, { controller: text, parameters: anything }) }),
  columns: [
    nameColumn,
    { name: "Controller", type: "string", priority: 0, value: ({ spec }) => spec?.controller ?? "" },
    { name: "Parameters", type: "string", priority: 0, value: () => "<none>" },
    ageColumn,
  ] satisfies readonly Column<IngressClass>[],
};
