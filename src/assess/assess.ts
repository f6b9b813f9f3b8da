// "Does my team need a mesh?", from facts: the needs row by row, then the checklist, then one answer with its reasons.

import {
  type Alternative,
  argoRollout,
  library,
  networkPolicies,
  openTelemetry,
  ownMetrics,
  ownTls,
} from "./alternatives.ts";
import {
  accessEvidence,
  alertingEvidence,
  breakingEvidence,
  canaryEvidence,
  metricsEvidence,
  tlsEvidence,
  tracingEvidence,
} from "./evidence.ts";
import type { Facts } from "./facts.ts";

/** What only people know; undefined: they have not said. */
export interface Said {
  readonly kubernetes?: boolean;
  readonly upgrades?: boolean;
  readonly debugging?: boolean;
  readonly latency?: boolean;
  readonly budget?: boolean;
}

/** Of one hop between two sidecars beside a direct call, and of one sidecar. */
export interface Cost {
  readonly isMeasured: boolean;
  readonly addedP50Ms: number | undefined;
  readonly addedP99Ms: number | undefined;
  readonly directP50Ms: number | undefined;
  readonly directP99Ms: number | undefined;
  /** CPU seconds of both sidecars together. */
  readonly cpuSecondsPerThousand: number | undefined;
  readonly memoryMbPerPod: number;
}

/** What the README states of weft's own sidecar under load, for where nothing is measured. */
export const STATED_COST: Cost = {
  isMeasured: false,
  addedP50Ms: undefined,
  addedP99Ms: undefined,
  directP50Ms: undefined,
  directP99Ms: undefined,
  cpuSecondsPerThousand: undefined,
  memoryMbPerPod: 40,
};

export interface Need {
  readonly requirement: string;
  readonly isSeen: boolean;
  readonly evidence: readonly string[];
  /** The mesh's answer. */
  readonly mesh: string;
  readonly alternative: Alternative;
}

export interface Check {
  readonly item: string;
  readonly state: "yes" | "no" | "unknown";
  readonly evidence: string;
}

export interface Assessment {
  readonly verdict: "yes" | "not yet" | "no";
  readonly reasons: readonly string[];
  /** What has to hold for it, which nobody has said yet. */
  readonly provided: readonly string[];
  readonly needs: readonly Need[];
  readonly checklist: readonly Check[];
  readonly cost: Cost;
  readonly size: {
    readonly services: number;
    readonly workloads: number;
    readonly pods: number;
    readonly namespaces: number;
    readonly calls: number;
    readonly depth: number;
    readonly requestedMb: number | undefined;
  };
}

/** By the post: below this a mesh is overkill … */
const FEW_SERVICES = 10;
/** … and from here on it pays, with needs. */
const MANY_SERVICES = 20;
const NEEDS_MIN = 3;
/** Sidecars may take this share of the memory that applications ask for. */
const BUDGET_SHARE = 0.25;

export function assess(facts: Facts, said: Said, cost: Cost): Assessment {
  const needs = needsOf(facts);
  const checklist = checklistOf(facts, needs, { said, cost });
  const { verdict, reasons } = judge(facts, needs, checklist);
  return {
    verdict,
    reasons,
    provided: verdict === "yes" ? checklist.filter(({ state }) => state === "unknown").map(({ item }) => item) : [],
    needs,
    checklist,
    cost,
    size: {
      services: facts.services.length,
      workloads: facts.workloads.length,
      pods: facts.pods,
      namespaces: facts.namespaces.length,
      calls: facts.calls.length,
      depth: facts.depth,
      requestedMb: facts.requestedMb,
    },
  };
}

function needsOf(facts: Facts): readonly Need[] {
  const row = (requirement: string, evidence: readonly string[], mesh: string, alternative: Alternative): Need => ({
    requirement,
    isSeen: evidence.length > 0,
    evidence,
    mesh,
    alternative,
  });
  return [
    row(
      "mTLS encryption",
      tlsEvidence(facts),
      "automatic between sidecars; PeerAuthentication STRICT requires it",
      ownTls(facts),
    ),
    row(
      "Canary deployments",
      canaryEvidence(facts),
      "VirtualService weights; weft canary judges the steps",
      argoRollout(facts),
    ),
    row(
      "Circuit breakers",
      breakingEvidence(facts),
      "DestinationRule outlierDetection and connectionPool",
      library(facts),
    ),
    row(
      "Distributed tracing",
      tracingEvidence(facts),
      "spans by the sidecars; applications only pass headers on",
      openTelemetry(facts),
    ),
    row(
      "Network policies",
      accessEvidence(facts),
      "AuthorizationPolicy by identity, method and path",
      networkPolicies(facts),
    ),
    row(
      "Observability",
      metricsEvidence(facts),
      "the same metrics of every call, with nothing to build in",
      ownMetrics(facts),
    ),
  ];
}

function checklistOf(
  facts: Facts,
  needs: readonly Need[],
  { said, cost }: { readonly said: Said; readonly cost: Cost },
): readonly Check[] {
  const services = facts.services.length;
  const seen = (requirement: string): boolean => needs.some((need) => need.requirement === requirement && need.isSeen);
  const rules = facts.objects.filter(({ kind }) => kind === "AuthorizationPolicy" || kind === "NetworkPolicy").length;
  const alerts = alertingEvidence(facts);
  const shape = (is: boolean): Check["state"] => (is ? "yes" : "no");
  return [
    person("Team comfortable with Kubernetes and networking concepts", said.kubernetes, "kubernetes"),
    {
      item: "10+ microservices requiring mTLS",
      state: shape(services >= FEW_SERVICES && seen("mTLS encryption")),
      evidence: `${services} services; mTLS is ${seen("mTLS encryption") ? "" : "not "}seen to be needed`,
    },
    {
      item: "Need sophisticated traffic management (canary, A/B testing)",
      state: shape(seen("Canary deployments")),
      evidence:
        needs.find(({ requirement }) => requirement === "Canary deployments")?.evidence.join("; ") || "no sign of it",
    },
    budget(facts, said, cost),
    {
      item: "Observability needs require distributed tracing",
      state: shape(seen("Distributed tracing")),
      evidence: `one request goes through up to ${facts.depth} services in a row`,
    },
    {
      item: "Security policies require fine-grained RBAC",
      state: shape(rules >= 3),
      evidence: `${rules} NetworkPolicies and AuthorizationPolicies`,
    },
    {
      item: "Monitoring and alerting in place for mesh health",
      state: alerts.length > 0 ? "yes" : "unknown",
      evidence: alerts.join("; ") || "no alert rules among what was read",
    },
    person("Plans to manage and upgrade the mesh regularly", said.upgrades, "upgrades"),
    person("Team trained on service mesh debugging", said.debugging, "debugging"),
    latency(said, cost),
  ];
}

function person(item: string, answer: boolean | undefined, key: string): Check {
  if (answer === undefined) return { item, state: "unknown", evidence: `manifests don't tell: --say ${key}=yes|no` };
  return { item, state: answer ? "yes" : "no", evidence: "as you say" };
}

function budget({ pods, requestedMb }: Facts, said: Said, cost: Cost): Check {
  const item = "Resource budget includes the proxies";
  const total = Math.round(pods * cost.memoryMbPerPod);
  const source = cost.isMeasured ? "measured here" : "as stated; --measure measures it";
  const needs = `${pods} pods × ${Math.round(cost.memoryMbPerPod)} MB (${source}) = ${total} MB`;
  if (said.budget !== undefined) return { item, state: said.budget ? "yes" : "no", evidence: `as you say; ${needs}` };
  if (requestedMb === undefined || requestedMb === 0) {
    return { item, state: "unknown", evidence: `${needs}; applications ask for no memory: --say budget=yes|no` };
  }
  const share = total / requestedMb;
  const evidence = `${needs}, ${Math.round(share * 100)} % of the ${Math.round(requestedMb)} MB that applications ask for`;
  return { item, state: share <= BUDGET_SHARE ? "yes" : "no", evidence };
}

function latency(said: Said, cost: Cost): Check {
  const item = "Performance impact measured and acceptable";
  const numbers =
    cost.addedP50Ms === undefined
      ? "not measured: --measure does it"
      : `a hop through two sidecars adds ${round(cost.addedP50Ms)} ms (p50), ${round(cost.addedP99Ms ?? 0)} ms (p99) on this machine`;
  if (said.latency === undefined)
    return { item, state: "unknown", evidence: `${numbers}; acceptable? --say latency=yes|no` };
  return { item, state: said.latency ? "yes" : "no", evidence: `as you say; ${numbers}` };
}

function judge(
  facts: Facts,
  needs: readonly Need[],
  checklist: readonly Check[],
): Pick<Assessment, "verdict" | "reasons"> {
  const services = facts.services.length;
  const seen = needs.filter(({ isSeen }) => isSeen);
  const list = seen.map(({ requirement }) => requirement).join(", ") || "none";
  const told = `${seen.length} of ${needs.length} needs are seen: ${list}`;
  const size = `${services} services in ${facts.pods} pods`;
  if (services < FEW_SERVICES) {
    const why = `${size}: below ${FEW_SERVICES} the sidecars and their upkeep cost more than the simpler tools below`;
    return seen.length > NEEDS_MIN
      ? { verdict: "not yet", reasons: [why, told] }
      : { verdict: "no", reasons: [why, told] };
  }
  if (seen.length === 0)
    return { verdict: "no", reasons: [`${size}, and none of what a mesh is for is seen to be needed`] };
  const against = checklist.filter((check) => check.state === "no" && BLOCKING.has(check.item));
  const isMany = services >= MANY_SERVICES || checklist[1]?.state === "yes";
  const reasons = [
    `${size}${services >= MANY_SERVICES ? `: above the ${MANY_SERVICES} from which on one answer for all pays` : ""}`,
    told,
    ...against.map(({ item, evidence }) => `against it: ${item} — no (${evidence})`),
  ];
  if (against.length > 0) return { verdict: "not yet", reasons };
  if (isMany && seen.length >= NEEDS_MIN) return { verdict: "yes", reasons };
  const lacking =
    seen.length < NEEDS_MIN
      ? `fewer than ${NEEDS_MIN} needs: the simpler tools for those are cheaper`
      : `fewer than ${MANY_SERVICES} services, and mTLS is not seen to be needed`;
  return { verdict: "not yet", reasons: [...reasons, lacking] };
}

/** What a mesh can't do without, however much it is needed. */
const BLOCKING: ReadonlySet<string> = new Set([
  "Team comfortable with Kubernetes and networking concepts",
  "Resource budget includes the proxies",
  "Plans to manage and upgrade the mesh regularly",
  "Team trained on service mesh debugging",
  "Performance impact measured and acceptable",
]);

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
