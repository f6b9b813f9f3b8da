// What Envoy adds to an answer of its own: the header that names the resource behind it, as weft's proxy does.

import { HeaderValueOption, HeaderValueOption_HeaderAppendAction } from "../proto/gen/envoy/config/core/v3/base.ts";
import {
  LocalReplyConfig,
  ResponseMapper,
} from "../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { expressionFilter } from "./access-log.ts";

const { ADD_IF_ABSENT } = HeaderValueOption_HeaderAppendAction;
const CAUSE_HEADER = "x-weft-cause";
const ROUTE = "%METADATA(ROUTE:weft.dev:resource)% %METADATA(ROUTE:weft.dev:rule)%";

/** The first that applies; which data there is, an expression finds out. */
const CAUSES: readonly (readonly [expression: string, cause: string])[] = [
  [
    "response.code_details.startsWith('rbac_access_denied_matched_policy[none]')",
    "AuthorizationPolicy: no ALLOW policy matches",
  ],
  ["response.code_details.startsWith('rbac_access_denied')", "AuthorizationPolicy: %RESPONSE_CODE_DETAILS%"],
  [
    "has(xds.cluster_metadata.filter_metadata['weft.dev'].unreachable)",
    `${ROUTE}: %METADATA(CLUSTER:weft.dev:unreachable)%`,
  ],
  ["has(xds.route_metadata.filter_metadata['weft.dev'].resource)", `${ROUTE}: %RESPONSE_CODE_DETAILS%`],
  // An answer that a route has says for itself what it is.
  ["response.code_details != 'direct_response'", "%RESPONSE_CODE_DETAILS%"],
];

export function causes(): LocalReplyConfig {
  const config = LocalReplyConfig.fromPartial({});
  config.mappers = CAUSES.map(([expression, cause]) => {
    const mapper = ResponseMapper.fromPartial({ filter: expressionFilter(expression) });
    mapper.headersToAdd = [
      HeaderValueOption.fromPartial({ header: { key: CAUSE_HEADER, value: cause }, appendAction: ADD_IF_ABSENT }),
    ];
    return mapper;
  });
  return config;
}
