// The bootstrap of the framing corpus, for weft and for Envoy alike: two listeners before one raw origin.

export interface FramingPorts {
  readonly plain: number;
  readonly rich: number;
  readonly admin: number;
  readonly origin: number;
}

const EXTENSIONS = "type.googleapis.com/envoy.extensions";
const LOG_FORMAT = "%DOWNSTREAM_REMOTE_ADDRESS% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n";

type Json = Readonly<Record<string, unknown>>;

export function framingBootstrap(ports: FramingPorts, log: string): Json {
  const explicitHttpConfig = { httpProtocolOptions: { enableTrailers: true } };
  const trailers = { "@type": `${EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions`, explicitHttpConfig };
  const options = {
    httpProtocolOptions: { acceptHttp10: true, enableTrailers: true, allowCustomMethods: true },
    upgradeConfigs: [{ upgradeType: "websocket" }],
  };
  return {
    admin: { address: address(ports.admin) },
    staticResources: {
      listeners: [listener("plain", ports.plain, log, {}), listener("rich", ports.rich, log, options)],
      clusters: [
        clusterJson("plain", ports.origin, {}),
        clusterJson("rich", ports.origin, {
          typedExtensionProtocolOptions: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": trailers },
        }),
      ],
    },
  };
}

export function clusterJson(name: string, port: number, more: Json): Json {
  const lbEndpoints = [{ endpoint: { address: address(port) } }];
  return {
    name,
    type: "STATIC",
    connectTimeout: "1s",
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints }] },
    ...more,
  };
}

export function address(portValue: number): Json {
  return { socketAddress: { address: "127.0.0.1", portValue } };
}

function listener(name: string, port: number, log: string, options: Json): Json {
  const manager = {
    "@type": `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: name,
    // Envoy's connections linger for a second otherwise.
    delayedCloseTimeout: "0.05s",
    accessLog: [
      {
        name: "envoy.access_loggers.file",
        typedConfig: {
          "@type": `${EXTENSIONS}.access_loggers.file.v3.FileAccessLog`,
          path: log,
          logFormat: { textFormatSource: { inlineString: LOG_FORMAT } },
        },
      },
    ],
    routeConfig: {
      name,
      virtualHosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: name } }] }],
    },
    httpFilters: [
      { name: "envoy.filters.http.router", typedConfig: { "@type": `${EXTENSIONS}.filters.http.router.v3.Router` } },
    ],
    ...options,
  };
  return {
    name,
    address: address(port),
    filterChains: [{ filters: [{ name: "envoy.filters.network.http_connection_manager", typedConfig: manager }] }],
  };
}
