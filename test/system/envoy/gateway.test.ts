// The same gateways on real Envoy: its configuration and credentials come from the real control plane over ADS.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { httpScenarios } from "../../gateway/http.ts";
import { httpsScenarios } from "../../gateway/https.ts";
import { layer4Scenarios } from "../../gateway/layer4.ts";
import { type Engine, freePort, gatewayToken, LOOPBACK, NODE } from "../../gateway/world.ts";
import type { TestMesh } from "../../unit/control/mesh.ts";
import { skipWithoutEnvoy, startEnvoy } from "./envoy.ts";

const envoy: Engine = {
  name: "envoy",
  start: async (context, mesh) => {
    const directory = mkdtempSync(join(tmpdir(), "weft-envoy-gateway-"));
    const adminPort = await freePort();
    const running = await startEnvoy(directory, bootstrap(mesh, await gatewayToken(mesh), adminPort), adminPort);
    context.after(() => {
      running.kill();
      rmSync(directory, { recursive: true });
    });
  },
};

function bootstrap(mesh: TestMesh, token: string, adminPort: number): Readonly<Record<string, unknown>> {
  const address = (port: number) => ({ socket_address: { address: LOOPBACK, port_value: port } });
  const ads = { ads: {}, resource_api_version: "V3" };
  const control = "istiod.istio-system.svc";
  const tls = {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    sni: control,
    common_tls_context: {
      alpn_protocols: ["h2"],
      validation_context: { trusted_ca: { inline_string: mesh.authority.rootPem } },
    },
  };
  const protocol = {
    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    explicit_http_config: { http2_protocol_options: {} },
  };
  return {
    node: { ...NODE, cluster: "ingress.edge" },
    admin: { address: address(adminPort) },
    dynamic_resources: {
      lds_config: ads,
      cds_config: ads,
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        grpc_services: [
          {
            envoy_grpc: { cluster_name: "xds-grpc" },
            initial_metadata: [{ key: "authorization", value: `Bearer ${token}` }],
          },
        ],
      },
    },
    static_resources: {
      clusters: [
        {
          name: "xds-grpc",
          type: "STATIC",
          connect_timeout: "1s",
          typed_extension_protocol_options: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol },
          transport_socket: { name: "tls", typed_config: tls },
          load_assignment: {
            cluster_name: "xds-grpc",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(mesh.control.secure.port) } }] }],
          },
        },
      ],
    },
  };
}

describe("a gateway on Envoy", { skip: skipWithoutEnvoy() }, () => {
  for (const { name, run } of [...httpScenarios, ...httpsScenarios, ...layer4Scenarios]) {
    it(name, (t: TestContext) => run(t, envoy));
  }
});
