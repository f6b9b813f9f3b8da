// What VirtualService fields weft accepts without acting on them yet.

import type { Ineffective } from "./ineffective.ts";

export const virtualServiceIneffective: readonly Ineffective[] = [
  { field: "spec.http[].fault.abort.http2Error", effect: "HTTP/2 is carried as TCP for now" },
  { field: "spec.http[].fault.delay.exponentialDelay", effect: "nothing is delayed, as in Istio: write fixedDelay" },
];
