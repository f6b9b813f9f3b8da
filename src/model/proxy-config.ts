// ProxyConfigs: two that hold for the same pods, of which the older one goes before.

import type { ProxyConfig } from "../api/istio/proxy-config.ts";
import { canonicalJson } from "../base/equal.ts";
import { byAge, type Finding, formatRef, refOf } from "./finding.ts";

export function proxyConfigFindings(resources: Iterable<ProxyConfig>): readonly Finding[] {
  const owners = new Map<string, ProxyConfig>();
  return [...resources].sort(byAge).flatMap((resource): readonly Finding[] => {
    const selector = resource.spec?.selector?.matchLabels ?? {};
    const key = `${resource.metadata.namespace}/${canonicalJson(selector)}`;
    const rival = owners.get(key);
    owners.set(key, rival ?? resource);
    if (rival === undefined) return [];
    const whom = Object.keys(selector).length === 0 ? "the whole namespace" : "the same pods";
    const message = `${formatRef(refOf(rival))} already covers ${whom}, is older (or first by name) and wins`;
    return [{ resource: refOf(resource), type: "conflict", path: "spec", message }];
  });
}
