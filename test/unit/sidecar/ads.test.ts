// A static bootstrap with a control plane: both variants of ADS against a real server, as a process.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Any } from "../../../src/proto/gen/google/protobuf/any.ts";
import { fromEnvoyJson } from "../../../src/proto/json.ts";
import { TYPE_URLS } from "../../../src/proxy/subscribe/decode.ts";
import type { ResourceKind } from "../../../src/proxy/subscribe/source.ts";
import { httpOrigin } from "../proxy/harness.ts";
import { ControlPlane } from "../subscribe/control-plane.ts";
import { connectionManager, file, freePort, ready, runProxy, staticCluster, until } from "./process.ts";

const address = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });

function packed(kind: ResourceKind, resource: object): Any {
  const any = fromEnvoyJson(Any, { "@type": TYPE_URLS[kind], ...resource });
  assert.ok(any.ok, JSON.stringify(any));
  return any.value;
}

function bootstrapOf(api: "GRPC" | "DELTA_GRPC", ports: { readonly admin: number; readonly plane: number }) {
  const http2 = {
    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    explicit_http_config: { http2_protocol_options: {} },
  };
  return {
    node: { id: "n", cluster: "c" },
    admin: { address: address(ports.admin) },
    dynamic_resources: {
      ads_config: {
        api_type: api,
        transport_api_version: "V3",
        grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
      },
      cds_config: { ads: {}, resource_api_version: "V3" },
      lds_config: { ads: {}, resource_api_version: "V3" },
    },
    static_resources: {
      clusters: [
        {
          ...staticCluster("xds", ports.plane),
          typed_extension_protocol_options: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2 },
        },
      ],
    },
  };
}

for (const api of ["GRPC", "DELTA_GRPC"] as const) {
  test(`${api}: what arrives serves, a mistake is refused by its path and what was good stays`, async () => {
    const plane = new ControlPlane();
    const port = await plane.start();
    after(() => plane.stop());
    const origin = await httpOrigin((_request, response) => response.end("hello"));
    const [admin, front] = [await freePort(), await freePort()];
    const send = (kind: ResourceKind, nonce: string, resource: { readonly name: string }) => {
      const any = packed(kind, resource);
      if (api === "GRPC") plane.sendSotw({ typeUrl: TYPE_URLS[kind], versionInfo: nonce, nonce, resources: [any] });
      else {
        const resources = [{ name: resource.name, version: nonce, resource: any, aliases: [], ttl: undefined }];
        plane.sendDelta({
          typeUrl: TYPE_URLS[kind],
          nonce,
          resources: resources.map((one) => ({
            ...one,
            cacheControl: undefined,
            metadata: undefined,
            resourceName: undefined,
          })),
        });
      }
    };
    const verdict = async (nonce: string) => {
      const asked = () => [...plane.sotw, ...plane.delta].find((request) => request.responseNonce === nonce);
      await until(() => asked() !== undefined, `the answer to ${nonce}: ${proxy.output()}`);
      return asked()?.errorDetail?.message ?? "ACK";
    };
    const proxy = runProxy(["-c", file("b.json", bootstrapOf(api, { admin, plane: port }))]);
    await until(() => plane.streams === 1, `a stream: ${proxy.output()}`);
    await until(() => plane.sotw.length + plane.delta.length >= 2, "subscriptions");
    send("cluster", "c1", { ...staticCluster("origin", origin), name: "origin" });
    assert.equal(await verdict("c1"), "ACK");
    send("listener", "l1", {
      name: "front",
      ...{ address: address(front), filter_chains: [{ filters: [connectionManager()] }] },
    });
    assert.equal(await verdict("l1"), "ACK");
    await ready(admin, proxy);
    const get = async () => (await fetch(`http://127.0.0.1:${front}/`)).text();
    assert.equal(await get(), "hello");
    send("cluster", "c2", { ...staticCluster("origin", origin), name: "origin", ...{ lb_policy: "CLUSTER_PROVIDED" } });
    assert.match(await verdict("c2"), /origin: lb_policy \(envoy\.config\.cluster\.v3\.Cluster\)/);
    assert.equal(await get(), "hello");
  });
}
