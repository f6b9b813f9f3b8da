// Endpoint assignments: where each cluster's requests can go right now.

import { canonicalRevision, canonicalService } from "../api/workload-name.ts";
import { effectivePolicy, servicePolicy } from "../model/destination.ts";
import { type Endpoint, matchesLabels } from "../model/endpoint.ts";
import { localityRule } from "../model/locality.ts";
import type { Address } from "../proto/gen/envoy/config/core/v3/address.ts";
import { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { LbEndpoint } from "../proto/gen/envoy/config/endpoint/v3/endpoint_components.ts";
import { localityGroups } from "./locality.ts";
import { INBOUND_PORT } from "./names.ts";
import { type ClusterTarget, targetName } from "./target.ts";
import type { ClientView } from "./view.ts";
import { pipeAddress, socketAddress } from "./wire.ts";

export function loadAssignment(target: ClusterTarget, view: ClientView): ClusterLoadAssignment {
  const { service, port, subset, rule } = target;
  const labels = rule?.subsets.find((each) => each.name === subset)?.labels;
  const endpoints = (service.endpoints.get(port.number) ?? []).filter((each) => matchesLabels(labels, each.labels));
  const meshed = isMeshed(target, view);
  const { mesh } = view.snapshot;
  const placing = localityRule(servicePolicy(service, rule, { subset, port: port.number }, mesh), service, mesh);
  return ClusterLoadAssignment.fromPartial({
    clusterName: targetName(target),
    endpoints: localityGroups(endpoints, placing, view).map((group) => ({
      ...(group.locality === "" ? {} : { locality: localityMessage(group.locality) }),
      lbEndpoints: group.endpoints.map((each) => lbEndpoint(each, view, meshed)),
      loadBalancingWeight: group.weight,
      priority: group.priority,
    })),
  });
}

function localityMessage(text: string) {
  const [region = "", zone = "", subZone = ""] = text.split("/");
  return { region, zone, subZone };
}

/** False where the rule asks for plaintext or for foreign TLS, which a peer's sidecar port can't take in explicit mode. */
function isMeshed({ service, port, subset, rule }: ClusterTarget, view: ClientView): boolean {
  const { tls } = effectivePolicy(rule, subset, port.number);
  if (tls?.mode === undefined) return view.snapshot.mesh.enableAutoMtls && !service.external;
  return tls.mode === "ISTIO_MUTUAL";
}

function lbEndpoint(endpoint: Endpoint, view: ClientView, meshed: boolean): LbEndpoint {
  const viaSidecar = meshed && endpoint.hasSidecar;
  const explicit = viaSidecar && view.mode === "NONE";
  const match = explicit ? { tlsMode: "istio", workloadPort: String(endpoint.port) } : { tlsMode: "istio" };
  const metadata = {
    ...(viaSidecar ? { "envoy.transport_socket_match": match } : {}),
    // What weft's proxy counts requests by, or the agent beside Envoy; Envoy alone has no use for it.
    ...(endpoint.workload !== "" && (view.engine === "weft" || view.telemetry.agent)
      ? { istio: { workload: workloadText(endpoint) } }
      : {}),
  };
  return LbEndpoint.fromPartial({
    hostIdentifier: {
      $case: "endpoint",
      value: { address: addressOf(endpoint, explicit ? INBOUND_PORT : endpoint.port) },
    },
    loadBalancingWeight: endpoint.weight,
    ...(Object.keys(metadata).length === 0 ? {} : { metadata: { filterMetadata: metadata } }),
  });
}

/** As Istio writes it: workload, namespace, canonical service, canonical revision, cluster. */
function workloadText({ workload, namespace, labels }: Endpoint): string {
  return [workload, namespace, canonicalService(labels, workload), canonicalRevision(labels), "Kubernetes"].join(";");
}

function addressOf({ address }: Endpoint, port: number): Address {
  return address.startsWith("unix://") ? pipeAddress(address) : socketAddress(address, port);
}
