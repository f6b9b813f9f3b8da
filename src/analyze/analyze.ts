// Everything that analysis has to say about a world. Pure.

import type { KubeObject } from "../api/object.ts";
import { analyzeAuthorization } from "./authorization.ts";
import { analyzeCanaries } from "./canary.ts";
import { analyzeDestinations } from "./destination.ts";
import { type Finding, inOrder } from "./finding.ts";
import { analyzeGateways } from "./gateway.ts";
import { analyzeGatewayServices } from "./gateway-service.ts";
import { analyzeInjection } from "./injection.ts";
import { analyzeNetworkPolicies } from "./network-policy.ts";
import { analyzePeers } from "./peer.ts";
import { analyzeReferences } from "./reference.ts";
import { analyzeRoutes } from "./route.ts";
import { analyzeMeshConfig, analyzeSchema } from "./schema.ts";
import { analyzeServices } from "./service.ts";
import { analyzeServiceEntries } from "./service-entry.ts";
import { analyzeSidecars } from "./sidecar.ts";
import { analyzeTelemetry } from "./telemetry.ts";
import { analyzeTokens } from "./token.ts";
import type { World } from "./world.ts";

/** `previous` has what the world's objects replace, for what would be lost. */
export function analyze(world: World, previous: readonly KubeObject[] = []): readonly Finding[] {
  return inOrder([
    ...analyzeSchema(world, previous),
    ...analyzeMeshConfig(world),
    ...analyzeReferences(world),
    ...analyzeGateways(world),
    ...analyzeGatewayServices(world),
    ...analyzeServices(world),
    ...analyzeInjection(world),
    ...analyzeDestinations(world),
    ...analyzeRoutes(world),
    ...analyzePeers(world),
    ...analyzeAuthorization(world),
    ...analyzeTokens(world),
    ...analyzeTelemetry(world),
    ...analyzeSidecars(world),
    ...analyzeServiceEntries(world),
    ...analyzeNetworkPolicies(world),
    ...analyzeCanaries(world),
  ]);
}
