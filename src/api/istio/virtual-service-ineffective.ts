// What VirtualService fields weft accepts without acting on them yet.

import type { Ineffective } from "./ineffective.ts";

const NOT_YET = "weft does not act on it yet";

export const virtualServiceIneffective: readonly Ineffective[] = [
  { field: "spec.http[].retries.retryRemoteLocalities", effect: NOT_YET },
  { field: "spec.http[].fault.abort.http2Error", effect: "HTTP/2 is carried as TCP for now" },
  { field: "spec.http[].fault.delay.exponentialDelay", effect: NOT_YET },
  { field: "spec.http[].match[].statPrefix", effect: NOT_YET },
];
