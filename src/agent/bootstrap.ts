// The proxy's Envoy bootstrap, made of the sidecar's contract: who it is, where its control plane is, where it shows itself.

import { Bootstrap } from "../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { Cluster } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { Address } from "../proto/gen/envoy/config/core/v3/address.ts";
import type { ConfigSource } from "../proto/gen/envoy/config/core/v3/config_source.ts";
import { UpstreamTlsContext } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import { CONTROL_SERVER_NAME } from "./ca-client.ts";
import type { SidecarConfig } from "./environment.ts";
import { sidecarOverload } from "./overload.ts";

export const ADMIN_PORT = 15000;
export const STATUS_PORT = 15020;
export const READINESS_PORT = 15021;
export const PROMETHEUS_PORT = 15090;
export const DNS_PORT = 15053;

const XDS_CLUSTER = "xds-grpc";
const CONNECT_TIMEOUT_S = 10;

export interface Addresses {
  /** For the node and Prometheus. */
  readonly open: string;
  /** For those in the pod only. */
  readonly admin: string;
}

/** Pods share one loopback in explicit mode, so everything is bound on the pod's own address there. */
export function bindAddresses(config: Pick<SidecarConfig, "interceptionMode" | "instanceIp">): Addresses {
  return config.interceptionMode === "NONE"
    ? { open: config.instanceIp, admin: config.instanceIp }
    : { open: "0.0.0.0", admin: "127.0.0.1" };
}

type NodeParts = Pick<SidecarConfig, "proxyType" | "instanceIp" | "podName" | "identity" | "dnsDomain">;

export function nodeId(config: NodeParts): string {
  return `${config.proxyType}~${config.instanceIp}~${config.podName}.${config.identity.namespace}~${config.dnsDomain}`;
}

export function makeBootstrap(config: SidecarConfig): Bootstrap {
  const ads: ConfigSource = {
    authorities: [],
    configSourceSpecifier: { $case: "ads", value: {} },
    initialFetchTimeout: { seconds: 0, nanos: 0 },
    resourceApiVersion: 2,
  };
  return Bootstrap.fromPartial({
    node: {
      id: nodeId(config),
      cluster: `${config.appName}.${config.identity.namespace}`,
      metadata: { ...config.nodeMetadata },
      userAgentName: "weft",
    },
    admin: { address: socketAddress(bindAddresses(config).admin, ADMIN_PORT) },
    dynamicResources: {
      ldsConfig: ads,
      cdsConfig: ads,
      adsConfig: {
        // DELTA_GRPC, v3.
        apiType: 3,
        transportApiVersion: 2,
        setNodeOnFirstMessageOnly: true,
        grpcServices: [{ targetSpecifier: { $case: "envoyGrpc", value: { clusterName: XDS_CLUSTER } } }],
      },
    },
    overloadManager: sidecarOverload(),
    staticResources: { clusters: [controlCluster(config)] },
  });
}

function controlCluster(config: SidecarConfig): Cluster {
  const colon = config.discoveryAddress.lastIndexOf(":");
  const host = config.discoveryAddress.slice(0, colon);
  const port = Number(config.discoveryAddress.slice(colon + 1));
  const tls = UpstreamTlsContext.fromPartial({
    sni: CONTROL_SERVER_NAME,
    commonTlsContext: {
      alpnProtocols: ["h2"],
      tlsCertificateSdsSecretConfigs: [{ name: "default" }],
      validationContextType: {
        $case: "validationContext",
        value: {
          trustedCa: { specifier: { $case: "filename", value: config.files.root } },
          // A DNS name.
          matchTypedSubjectAltNames: [
            { sanType: 2, matcher: { matchPattern: { $case: "exact", value: CONTROL_SERVER_NAME } } },
          ],
        },
      },
    },
  });
  return Cluster.fromPartial({
    name: XDS_CLUSTER,
    // STRICT_DNS.
    clusterDiscoveryType: { $case: "type", value: 1 },
    connectTimeout: { seconds: CONNECT_TIMEOUT_S, nanos: 0 },
    transportSocket: {
      name: "envoy.transport_sockets.tls",
      configType: {
        $case: "typedConfig",
        value: {
          typeUrl: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
          value: Buffer.from(UpstreamTlsContext.encode(tls).finish()),
        },
      },
    },
    loadAssignment: {
      clusterName: XDS_CLUSTER,
      endpoints: [
        {
          lbEndpoints: [{ hostIdentifier: { $case: "endpoint", value: { address: socketAddress(host, port) } } }],
        },
      ],
    },
  });
}

function socketAddress(address: string, port: number): Address {
  return {
    address: {
      $case: "socketAddress",
      value: {
        protocol: 0,
        address,
        portSpecifier: { $case: "portValue", value: port },
        resolverName: "",
        ipv4Compat: false,
      },
    },
  };
}
