// Every theme of the table.

import type { Theme } from "./case.ts";
import { claims } from "./claim-cases.ts";
import { explicit } from "./explicit-cases.ts";
import { external } from "./external-cases.ts";
import { gateways } from "./gateway-cases.ts";
import { hosts } from "./hosts-cases.ts";
import { inbound } from "./inbound-cases.ts";
import { listeners } from "./listener-cases.ts";
import { ownership } from "./owner-cases.ts";
import { ports } from "./ports-cases.ts";
import { routes } from "./route-cases.ts";
import { security } from "./security-cases.ts";
import { sidecars } from "./sidecar-cases.ts";
import { tcpRoutes } from "./tcp-cases.ts";

export const THEMES: readonly Theme[] = [
  ...hosts,
  ...ports,
  ...routes,
  ...ownership,
  ...tcpRoutes,
  ...security,
  ...inbound,
  ...explicit,
  ...external,
  ...gateways,
  ...sidecars,
  ...listeners,
  ...claims,
];
