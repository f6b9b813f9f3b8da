// How upstreams are talked to, where several kinds say it: DestinationRule, Sidecar and MeshConfig.

import { type Static, Type } from "typebox";
import { durationText, int32, mapOf, oneOf, strings, uint32 } from "./shapes.ts";

export const connectionPool = Type.Object({
  tcp: Type.Optional(
    Type.Object({
      maxConnections: Type.Optional(int32),
      connectTimeout: Type.Optional(durationText),
      tcpKeepalive: Type.Optional(
        Type.Object({
          probes: Type.Optional(uint32),
          time: Type.Optional(durationText),
          interval: Type.Optional(durationText),
        }),
      ),
      maxConnectionDuration: Type.Optional(durationText),
      idleTimeout: Type.Optional(durationText),
    }),
  ),
  http: Type.Optional(
    Type.Object({
      http1MaxPendingRequests: Type.Optional(int32),
      http2MaxRequests: Type.Optional(int32),
      maxRequestsPerConnection: Type.Optional(int32),
      maxRetries: Type.Optional(int32),
      idleTimeout: Type.Optional(durationText),
      h2UpgradePolicy: Type.Optional(oneOf(["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"])),
      useClientProtocol: Type.Optional(Type.Boolean()),
      maxConcurrentStreams: Type.Optional(int32),
      http2KeepAlive: Type.Optional(
        Type.Object({ interval: Type.Optional(durationText), timeout: Type.Optional(durationText) }),
      ),
    }),
  ),
});

export type ConnectionPool = Static<typeof connectionPool>;

export const outlierDetection = Type.Object({
  /** Deprecated by Istio and read by nothing there; here it is consecutive 5xx errors. */
  consecutiveErrors: Type.Optional(int32),
  splitExternalLocalOriginErrors: Type.Optional(Type.Boolean()),
  consecutiveLocalOriginFailures: Type.Optional(uint32),
  consecutiveGatewayErrors: Type.Optional(uint32),
  consecutive5xxErrors: Type.Optional(uint32),
  interval: Type.Optional(durationText),
  baseEjectionTime: Type.Optional(durationText),
  maxEjectionPercent: Type.Optional(int32),
  minHealthPercent: Type.Optional(int32),
  outlierDetectionHttpErrorCodes: Type.Optional(Type.Array(uint32)),
  /** weft's addition: an endpoint isn't ejected before it had this many requests in the interval. */
  minRequestVolume: Type.Optional(uint32),
  /** weft's addition: consecutive failed connects that eject an endpoint. */
  consecutiveConnectFailure: Type.Optional(uint32),
});

export type OutlierDetectionSettings = Static<typeof outlierDetection>;

export const localityLbSetting = Type.Object({
  distribute: Type.Optional(
    Type.Array(Type.Object({ from: Type.Optional(Type.String()), to: Type.Optional(mapOf(uint32)) })),
  ),
  failover: Type.Optional(
    Type.Array(Type.Object({ from: Type.Optional(Type.String()), to: Type.Optional(Type.String()) })),
  ),
  failoverPriority: Type.Optional(strings),
  enabled: Type.Optional(Type.Boolean()),
});
