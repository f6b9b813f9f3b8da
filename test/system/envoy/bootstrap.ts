// The bootstrap of an Envoy that takes everything from a control plane on loopback.

export function adsBootstrap(node: Readonly<Record<string, unknown>>, discoveryPort: number, adminPort: number) {
  const ads = { ads: {}, resourceApiVersion: "V3" };
  const options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  const at = (portValue: number) => ({ socketAddress: { address: "127.0.0.1", portValue } });
  const cluster = {
    name: "xds-grpc",
    type: "STATIC",
    connectTimeout: "1s",
    typedExtensionProtocolOptions: {
      [options]: { "@type": `type.googleapis.com/${options}`, explicitHttpConfig: { http2ProtocolOptions: {} } },
    },
    loadAssignment: {
      clusterName: "xds-grpc",
      endpoints: [{ lbEndpoints: [{ endpoint: { address: at(discoveryPort) } }] }],
    },
  };
  return {
    node,
    admin: { address: at(adminPort) },
    staticResources: { clusters: [cluster] },
    dynamicResources: {
      adsConfig: {
        apiType: "DELTA_GRPC",
        transportApiVersion: "V3",
        grpcServices: [{ envoyGrpc: { clusterName: "xds-grpc" } }],
      },
      cdsConfig: ads,
      ldsConfig: ads,
    },
  };
}
