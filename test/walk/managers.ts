// The connection managers of the control plane, as JSON.

import assert from "node:assert/strict";
import type { MeshSettings } from "../../src/api/istio/mesh-config.ts";
import { isRecord } from "../../src/base/json.ts";
import { defaultMeshConfig } from "../../src/model/mesh-config.ts";
import { RouteConfiguration } from "../../src/proto/gen/envoy/config/route/v3/route.ts";
import { HttpConnectionManager } from "../../src/proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { toEnvoyJson } from "../../src/proto/json.ts";
import { connectionManager, type ManagerOptions } from "../../src/translate/http-filters.ts";
import type { Json } from "./case.ts";

/** All that the control plane says of it, but for names, routes and filters. */
export function managerFields(
  direction: ManagerOptions["direction"],
  settings: MeshSettings = {},
  numTrustedProxies = 0,
): Json {
  const { configType } = connectionManager({
    mesh: { ...defaultMeshConfig, settings },
    statPrefix: "",
    direction,
    route: { $case: "routeConfig", value: RouteConfiguration.fromPartial({}) },
    filters: [],
    topology: { numTrustedProxies, forwardClientCertDetails: undefined },
  });
  assert.ok(configType?.$case === "typedConfig");
  const json = toEnvoyJson(HttpConnectionManager, HttpConnectionManager.decode(configType.value.value));
  assert.ok(isRecord(json));
  const { stat_prefix: _prefix, route_config: _routes, http_filters: _filters, ...fields } = json;
  return fields;
}
