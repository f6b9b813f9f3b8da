// What a proxy was sent, as Envoy prints what it runs (envoy.admin.v3.ConfigDump), so that the two can be compared.

import { type EncodedResource, type ResourceType, TYPES } from "../serve/resource.ts";
import { resourceJson } from "../serve/resource-json.ts";
import type { Connection } from "../serve/server.ts";
import type { Session } from "../serve/session.ts";
import { putTogether } from "../serve/virtual-hosts.ts";

const DUMP = "type.googleapis.com/envoy.admin.v3";

type Json = Readonly<Record<string, unknown>>;

interface Section {
  readonly type: string;
  readonly list: string;
  /** How one entry stands in the list. */
  readonly entry: (resource: { readonly name: string; readonly version: string; readonly body: Json }) => Json;
}

const SECTIONS: Readonly<Partial<Record<(typeof TYPES)[number], Section>>> = {
  cluster: {
    type: "ClustersConfigDump",
    list: "dynamicActiveClusters",
    entry: ({ version, body }) => ({ versionInfo: version, cluster: body }),
  },
  endpoint: {
    type: "EndpointsConfigDump",
    list: "dynamicEndpointConfigs",
    entry: ({ version, body }) => ({ versionInfo: version, endpointConfig: body }),
  },
  listener: {
    type: "ListenersConfigDump",
    list: "dynamicListeners",
    entry: ({ name, version, body }) => ({ name, activeState: { versionInfo: version, listener: body } }),
  },
  route: {
    type: "RoutesConfigDump",
    list: "dynamicRouteConfigs",
    entry: ({ version, body }) => ({ versionInfo: version, routeConfig: body }),
  },
  secret: {
    type: "SecretsConfigDump",
    list: "dynamicActiveSecrets",
    entry: ({ name, version, body }) => ({ name, versionInfo: version, secret: body }),
  },
  extension: {
    type: "EcdsConfigDump",
    list: "ecdsFilters",
    entry: ({ version, body }) => ({ versionInfo: version, ecdsFilter: body }),
  },
};

function resourcesOf(type: ResourceType, session: Session): readonly EncodedResource[] {
  const sent = [...session.sent(type).values()];
  return type === "route" ? sent.map((route) => putTogether(route, session.sent("virtualHost"))) : sent;
}

export function configDump({ session }: Pick<Connection, "session">): Json {
  const configs = TYPES.flatMap((type) => {
    const section = SECTIONS[type];
    if (section === undefined) return [];
    const entries = resourcesOf(type, session).map((resource) => {
      const json = resourceJson(resource);
      const fields = json.ok && typeof json.value === "object" && json.value !== null ? json.value : { error: json };
      const body = { "@type": resource.any.typeUrl, ...fields };
      return section.entry({ name: resource.name, version: resource.version, body });
    });
    return [{ "@type": `${DUMP}.${section.type}`, [section.list]: entries }];
  });
  return { configs };
}
