// The demo's claims, each checked on what really happened.

import type { Figures } from "./figures.ts";
import { binomialInterval } from "./interval.ts";
import { BETA_REQUESTS_MIN, SPLIT_REQUESTS_MIN } from "./limits.ts";
import { isReady } from "./observe.ts";
import { CALLERS, mayCall, NAMESPACE, SERVICES } from "./shop.ts";

export type Verdict = "waiting" | "holds" | "fails";

export interface Check {
  readonly name: string;
  readonly verdict: Verdict;
  readonly detail: string;
}

export interface CheckInput {
  readonly figures: Figures;
  readonly podsWanted: number;
  /** The SPIFFE URI that the API's pod showed to a TLS client, or why none was seen. */
  readonly apiIdentity: { readonly uri: string } | { readonly problem: string } | undefined;
  readonly trustDomain: string;
}

const CANARY_SHARE = 0.1;

export function runChecks(input: CheckInput): readonly Check[] {
  const { figures } = input;
  return [
    checkPods(figures, input.podsWanted),
    checkAllowed(figures),
    checkDenied(figures),
    checkPlaintext(figures),
    checkIdentity(input),
    checkSplit(figures),
    checkBeta(figures),
  ];
}

function checkPods(figures: Figures, wanted: number): Check {
  const ready = [...figures.pods.values()].filter((pod) => isReady(pod) && pod.containers === 2).length;
  return {
    name: "every pod is ready, with its sidecar",
    verdict: ready === wanted ? "holds" : "waiting",
    detail: `${ready} of ${wanted} are 2/2`,
  };
}

function checkAllowed(figures: Figures): Check {
  const wrong = pairs(true).filter(({ from, to }) => figures.call(from, to) !== 200);
  return {
    name: "allowed calls get their answer",
    verdict: wrong.length === 0 ? "holds" : "waiting",
    detail: describe(figures, wrong.length === 0 ? pairs(true) : wrong),
  };
}

function checkDenied(figures: Figures): Check {
  const wrong = pairs(false).filter(({ from, to }) => figures.call(from, to) !== 403);
  // An answer where there must be none is a fault at once; a call that hasn't arrived yet is not.
  const answered = wrong.filter(({ from, to }) => figures.call(from, to) === 200);
  return {
    name: "all other calls are denied",
    verdict: wrong.length === 0 ? "holds" : answered.length > 0 ? "fails" : "waiting",
    detail: describe(figures, wrong.length === 0 ? pairs(false) : wrong),
  };
}

function checkPlaintext(figures: Figures): Check {
  const seen = SERVICES.map((service) => figures.plaintext.get(service));
  const answered = seen.includes("answered");
  return {
    name: "without a certificate nobody gets in",
    verdict: answered ? "fails" : seen.every((outcome) => outcome === "refused") ? "holds" : "waiting",
    detail: SERVICES.map((service) => `${service} ${figures.plaintext.get(service) ?? "not tried"}`).join(", "),
  };
}

function checkIdentity(input: CheckInput): Check {
  const wanted = `spiffe://${input.trustDomain}/ns/${NAMESPACE}/sa/api`;
  const name = "the API's certificate names its workload";
  if (input.apiIdentity === undefined) return { name, verdict: "waiting", detail: "not seen yet" };
  if ("problem" in input.apiIdentity) return { name, verdict: "waiting", detail: input.apiIdentity.problem };
  const { uri } = input.apiIdentity;
  return { name, verdict: uri === wanted ? "holds" : "fails", detail: uri };
}

function checkSplit(figures: Figures): Check {
  const { v1, v2 } = figures.totalSplit;
  const total = v1 + v2;
  const name = "one request in ten goes to the canary";
  if (total < SPLIT_REQUESTS_MIN) {
    return { name, verdict: "waiting", detail: `${total} of ${SPLIT_REQUESTS_MIN} requests seen` };
  }
  const { low, high } = binomialInterval(total, CANARY_SHARE);
  return {
    name,
    verdict: v2 >= low && v2 <= high ? "holds" : "fails",
    detail: `v2 got ${v2} of ${total}; by chance (99.9 %) it is ${low} to ${high}`,
  };
}

function checkBeta(figures: Figures): Check {
  const name = "beta users get v2";
  const right = figures.versions.get("beta:v2") ?? 0;
  const wrong = [...figures.versions].filter(([key]) => key.startsWith("beta:") && key !== "beta:v2");
  const missed = wrong.reduce((sum, [, count]) => sum + count, 0);
  const verdict = missed > 0 ? "fails" : right >= BETA_REQUESTS_MIN ? "holds" : "waiting";
  return { name, verdict, detail: `${right} of ${right + missed} did` };
}

function pairs(allowed: boolean) {
  return CALLERS.flatMap((from) =>
    SERVICES.filter((to) => to !== from && mayCall(from, to) === allowed).map((to) => ({ from, to })),
  );
}

function describe(figures: Figures, list: ReturnType<typeof pairs>): string {
  return list.map(({ from, to }) => `${from} to ${to} ${figures.call(from, to) ?? "not seen"}`).join(", ");
}
