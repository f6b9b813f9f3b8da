// The two proxies that the calls go through, each with the generated resources over its discovery stream.

import type { SecretSource } from "../../../src/proxy/socket/secret.ts";
import type { ProxyNode } from "../../../src/translate/proxy.ts";
import { startAdsProxy } from "../../unit/control/proxy.ts";
import { startEnvoy } from "../envoy/envoy.ts";

export const ADMIN_PORT = 15_000;

export interface EngineOptions {
  readonly proxy: ProxyNode;
  readonly variant: "delta" | "sotw";
  readonly discoveryPort: number;
  readonly directory: string;
  readonly secrets: SecretSource;
}

export type StartEngine = (options: EngineOptions) => Promise<() => Promise<void>>;

export const ENGINES: Readonly<Record<ProxyNode["engine"], StartEngine>> = { weft: startWeft, envoy: startRealEnvoy };

function metadataOf(proxy: ProxyNode): Readonly<Record<string, unknown>> {
  return {
    NAMESPACE: proxy.namespace,
    SERVICE_ACCOUNT: proxy.serviceAccount,
    LABELS: proxy.labels,
    INTERCEPTION_MODE: proxy.mode,
  };
}

async function startWeft({ proxy, variant, discoveryPort, secrets }: EngineOptions): Promise<() => Promise<void>> {
  const metadata = metadataOf(proxy);
  const running = await startAdsProxy({ discoveryPort, id: proxy.id, metadata, variant, secrets, drainMs: 100 });
  return () => Promise.resolve(running.close());
}

async function startRealEnvoy({
  proxy,
  variant,
  discoveryPort,
  directory,
}: EngineOptions): Promise<() => Promise<void>> {
  const ads = { ads: {}, resourceApiVersion: "V3" };
  const bootstrap = {
    node: { id: proxy.id, cluster: "test", metadata: metadataOf(proxy) },
    admin: { address: { socketAddress: { address: "127.0.0.1", portValue: ADMIN_PORT } } },
    staticResources: { clusters: [grpcCluster("xds-grpc", discoveryPort), grpcCluster("sds-grpc", discoveryPort)] },
    dynamicResources: {
      adsConfig: {
        apiType: variant === "delta" ? "DELTA_GRPC" : "GRPC",
        transportApiVersion: "V3",
        grpcServices: [{ envoyGrpc: { clusterName: "xds-grpc" } }],
      },
      cdsConfig: ads,
      ldsConfig: ads,
    },
  };
  const running = await startEnvoy(directory, bootstrap, ADMIN_PORT);
  return async () => {
    running.kill();
    // The next one binds the same ports.
    while (isAlive(running.pid)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function grpcCluster(name: string, port: number) {
  const address = { socketAddress: { address: "127.0.0.1", portValue: port } };
  const options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  return {
    name,
    type: "STATIC",
    connectTimeout: "1s",
    typedExtensionProtocolOptions: {
      [options]: { "@type": `type.googleapis.com/${options}`, explicitHttpConfig: { http2ProtocolOptions: {} } },
    },
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] },
  };
}
