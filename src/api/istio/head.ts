// What all Istio kinds of one API group have in common.

import type { Kind } from "../kind.ts";

type Head = Pick<Kind, "group" | "categories" | "namespaced" | "origin" | "subresources">;

export function istioHead(area: "networking" | "security" | "telemetry"): Head {
  return {
    group: `${area}.istio.io`,
    categories: ["istio-io", `${area}-istio-io`],
    namespaced: true,
    origin: "custom",
    subresources: ["status"],
  };
}
