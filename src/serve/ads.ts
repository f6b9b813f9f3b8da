// The two methods of aggregated discovery, as grpc-js wants them.

import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryRequest,
  DiscoveryResponse,
} from "../proto/gen/envoy/service/discovery/v3/discovery.ts";
import { type Codec, method } from "../proto/grpc.ts";

const SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService";

export const deltaMethod = method<DeltaDiscoveryRequest, DeltaDiscoveryResponse>({
  path: `${SERVICE}/DeltaAggregatedResources`,
  kind: "bidi",
  request: codec(DeltaDiscoveryRequest),
  response: codec(DeltaDiscoveryResponse),
});

export const stateMethod = method<DiscoveryRequest, DiscoveryResponse>({
  path: `${SERVICE}/StreamAggregatedResources`,
  kind: "bidi",
  request: codec(DiscoveryRequest),
  response: codec(DiscoveryResponse),
});

function codec<T>(messages: Codec<T>): Codec<T> {
  return messages;
}
