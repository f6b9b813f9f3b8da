// One table of configurations, calls and what must come of them: run on weft's proxy and, where it is installed, on Envoy.
// Every case has its own domain in one bootstrap; the origin tells in its answer what it was asked.

import { answerCases } from "./answer-cases.ts";
import { attackCases } from "./attack-cases.ts";
import { authzCases } from "./authz-cases.ts";
import type { WalkCase } from "./case.ts";
import { connectionCases } from "./connection-cases.ts";
import { filterCases } from "./filter-cases.ts";
import { formatCases } from "./format-cases.ts";
import { headerCases } from "./header-cases.ts";
import { jwtCases } from "./jwt-cases.ts";
import { matchCases } from "./match-cases.ts";
import { mutationCases } from "./mutation-cases.ts";
import { normalizationCases } from "./normalization-cases.ts";
import { pathCases } from "./path-cases.ts";
import { policyCases } from "./policy-cases.ts";
import { ratelimitCases } from "./ratelimit-cases.ts";
import { retryCases } from "./retry-cases.ts";
import { routeCases } from "./route-cases.ts";
import { upstreamCases } from "./upstream-cases.ts";

export function walkCases(): readonly WalkCase[] {
  return [
    ...matchCases,
    ...pathCases,
    ...normalizationCases,
    ...attackCases,
    ...headerCases,
    ...answerCases,
    ...retryCases,
    ...routeCases,
    ...filterCases,
    ...mutationCases,
    ...ratelimitCases,
    ...jwtCases,
    ...authzCases,
    ...policyCases,
    ...upstreamCases,
    ...formatCases,
    ...connectionCases,
  ];
}
