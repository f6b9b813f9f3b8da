// The two methods of aggregated discovery, as grpc-js wants them.

import { DeltaDiscoveryRequest, DiscoveryRequest } from "../proto/gen/envoy/service/discovery/v3/discovery.ts";
import { type Codec, method } from "../proto/grpc.ts";
import { joined, type Response } from "./response.ts";

const SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService";

const responses: Codec<Response> = {
  encode: (response) => ({ finish: () => joined(response) }),
  decode: (bytes) => ({ pieces: [bytes], bytes: bytes.length }),
};

export const deltaMethod = method<DeltaDiscoveryRequest, Response>({
  path: `${SERVICE}/DeltaAggregatedResources`,
  kind: "bidi",
  request: DeltaDiscoveryRequest,
  response: responses,
});

export const stateMethod = method<DiscoveryRequest, Response>({
  path: `${SERVICE}/StreamAggregatedResources`,
  kind: "bidi",
  request: DiscoveryRequest,
  response: responses,
});
