// One thing that analysis has to say: Istio's code where Istio has one, weft's own where Istio is silent.

import type { ResourceRef } from "../model/finding.ts";

export type Severity = "Error" | "Warning" | "Info";

interface CodeEntry {
  readonly name: string;
  readonly severity: Severity;
}

export const CODES = {
  IST0002: { name: "Deprecated", severity: "Warning" },
  IST0101: { name: "ReferencedResourceNotFound", severity: "Error" },
  IST0102: { name: "NamespaceNotInjected", severity: "Info" },
  IST0103: { name: "PodMissingProxy", severity: "Warning" },
  IST0106: { name: "SchemaValidationError", severity: "Error" },
  IST0109: { name: "ConflictingMeshGatewayVirtualServiceHosts", severity: "Error" },
  IST0110: { name: "ConflictingSidecarWorkloadSelectors", severity: "Error" },
  IST0111: { name: "MultipleSidecarsWithoutWorkloadSelectors", severity: "Error" },
  IST0112: { name: "VirtualServiceDestinationPortSelectorRequired", severity: "Error" },
  IST0116: { name: "DeploymentAssociatedToMultipleServices", severity: "Warning" },
  IST0118: { name: "PortNameIsNotUnderNamingConvention", severity: "Info" },
  IST0123: { name: "NamespaceMultipleInjectionLabels", severity: "Warning" },
  IST0127: { name: "NoMatchingWorkloadsFound", severity: "Warning" },
  IST0128: { name: "NoServerCertificateVerificationDestinationLevel", severity: "Warning" },
  IST0129: { name: "NoServerCertificateVerificationPortLevel", severity: "Warning" },
  IST0130: { name: "VirtualServiceUnreachableRule", severity: "Warning" },
  IST0131: { name: "VirtualServiceIneffectiveMatch", severity: "Info" },
  IST0132: { name: "VirtualServiceHostNotFoundInGateway", severity: "Warning" },
  IST0133: { name: "SchemaWarning", severity: "Warning" },
  IST0134: { name: "ServiceEntryAddressesRequired", severity: "Warning" },
  IST0137: { name: "DeploymentConflictingPorts", severity: "Warning" },
  IST0138: { name: "GatewayDuplicateCertificate", severity: "Warning" },
  IST0144: { name: "InvalidApplicationUID", severity: "Warning" },
  IST0145: { name: "ConflictingGateways", severity: "Error" },
  IST0149: { name: "JwtClaimBasedRoutingWithoutRequestAuthN", severity: "Error" },
  IST0150: { name: "ExternalNameServiceTypeInvalidPortName", severity: "Warning" },
  IST0157: { name: "InvalidTelemetryProvider", severity: "Warning" },
  IST0160: { name: "MultipleTelemetriesWithoutWorkloadSelectors", severity: "Error" },
  IST0161: { name: "InvalidGatewayCredential", severity: "Error" },
  IST0162: { name: "GatewayPortNotDefinedOnService", severity: "Warning" },
  IST0167: { name: "IneffectivePolicy", severity: "Warning" },
  IST0173: { name: "DestinationRuleSubsetNotSelectPods", severity: "Error" },
  IST0174: { name: "UnknownDestinationRuleHost", severity: "Warning" },
  IST0177: { name: "ConflictingServiceEntryProtocol", severity: "Error" },
  WEFT0001: { name: "KindNotAnalyzed", severity: "Info" },
  WEFT0101: { name: "ConflictingDestinationRules", severity: "Warning" },
  WEFT0102: { name: "MergedDestinationRules", severity: "Info" },
  WEFT0103: { name: "DestinationRuleNotInherited", severity: "Warning" },
  WEFT0104: { name: "TimedOutTryNotRetried", severity: "Warning" },
  WEFT0105: { name: "EjectionNeverHappens", severity: "Warning" },
  WEFT0106: { name: "EjectionShiftsTraffic", severity: "Warning" },
  WEFT0107: { name: "FieldUnknownToIstio", severity: "Info" },
  WEFT0108: { name: "ConflictingPeerAuthentications", severity: "Warning" },
  WEFT0109: { name: "RoutedHostUnknown", severity: "Warning" },
  WEFT0110: { name: "HttpRouteOnTcpPort", severity: "Warning" },
  WEFT0111: { name: "ConflictingResources", severity: "Warning" },
  WEFT0112: { name: "ReferenceNotFound", severity: "Error" },
  WEFT0201: { name: "PolicyBypassesNothing", severity: "Warning" },
  WEFT0202: { name: "AllowRuleNeverMatches", severity: "Warning" },
  WEFT0203: { name: "HttpRuleOnTcpPort", severity: "Warning" },
  WEFT0204: { name: "NoSidecarUnderStrict", severity: "Warning" },
  WEFT0205: { name: "PrincipalWithoutWorkload", severity: "Info" },
  WEFT0206: { name: "PlaintextClientUnderStrict", severity: "Error" },
  WEFT0207: { name: "TokenNeverVerified", severity: "Warning" },
  WEFT0208: { name: "PlaintextPortUnderStrict", severity: "Warning" },
  WEFT0301: { name: "TracingProviderUndefined", severity: "Warning" },
  WEFT0302: { name: "TracingProviderFoundAsService", severity: "Info" },
  WEFT0401: { name: "SidecarContainerOverridden", severity: "Info" },
  WEFT0402: { name: "NetworkPolicyCutsOffMesh", severity: "Warning" },
  WEFT0501: { name: "CanaryCannotRun", severity: "Warning" },
} as const satisfies Readonly<Record<string, CodeEntry>>;

export type Code = keyof typeof CODES;

export interface Finding {
  readonly code: Code;
  readonly name: string;
  readonly severity: Severity;
  readonly resource: ResourceRef;
  /** Field path; empty for the whole resource. */
  readonly path: string;
  readonly message: string;
  /** What to do about it; empty where there is nothing to do. */
  readonly next: string;
}

interface Place {
  readonly resource: ResourceRef;
  readonly path: string;
}

export function finding(code: Code, place: Place, message: string, next = ""): Finding {
  return { code, ...CODES[code], resource: place.resource, path: place.path, message, next };
}

const RANK: Readonly<Record<Severity, number>> = { Error: 2, Warning: 1, Info: 0 };

export function isAtLeast(severity: Severity, threshold: Severity): boolean {
  return RANK[severity] >= RANK[threshold];
}

/** Worst first, then by resource, path and code, so that two runs print the same. */
export function inOrder(findings: readonly Finding[]): readonly Finding[] {
  const key = ({ severity, resource, path, code }: Finding): string =>
    [2 - RANK[severity], resource.namespace, resource.kind, resource.name, path, code].join("\u0000");
  return [...findings].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}
