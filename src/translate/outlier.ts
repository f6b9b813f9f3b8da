// Outlier detection: Istio's settings, and weft's additions, to Envoy's.

import type { OutlierDetectionSettings } from "../api/istio/traffic.ts";
import { OutlierDetection } from "../proto/gen/envoy/config/cluster/v3/outlier_detection.ts";
import { durationFromText } from "./wire.ts";

export function outlierDetection(settings: OutlierDetectionSettings | undefined): OutlierDetection | undefined {
  if (settings === undefined) return undefined;
  const out = OutlierDetection.fromPartial({ enforcingSuccessRate: 0 });
  // The deprecated name counts the same errors; the current one stands where both are set.
  const errors = settings.consecutive5xxErrors ?? settings.consecutiveErrors;
  if (errors !== undefined) {
    out.consecutive5xx = errors;
    out.enforcingConsecutive5xx = errors > 0 ? 100 : 0;
  }
  const gateway = settings.consecutiveGatewayErrors;
  if (gateway !== undefined) {
    out.consecutiveGatewayFailure = gateway;
    out.enforcingConsecutiveGatewayFailure = gateway > 0 ? 100 : 0;
  }
  const connects = settings.consecutiveLocalOriginFailures ?? settings.consecutiveConnectFailure;
  // Failed connects are counted apart from answers only when the two are split.
  if (settings.splitExternalLocalOriginErrors === true || settings.consecutiveConnectFailure !== undefined) {
    out.splitExternalLocalOriginErrors = true;
    out.enforcingLocalOriginSuccessRate = 0;
    if (connects !== undefined) {
      out.consecutiveLocalOriginFailure = connects;
      out.enforcingConsecutiveLocalOriginFailure = connects > 0 ? 100 : 0;
    }
  }
  if (settings.interval !== undefined) out.interval = durationFromText(settings.interval);
  if (settings.baseEjectionTime !== undefined) out.baseEjectionTime = durationFromText(settings.baseEjectionTime);
  if ((settings.maxEjectionPercent ?? 0) > 0) out.maxEjectionPercent = settings.maxEjectionPercent;
  return out;
}
