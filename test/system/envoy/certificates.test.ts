// The certificates that must not get in, against Envoy as the control plane configures it: the same that weft's proxy refuses.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isRecord } from "../../../src/base/json.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { DownstreamTlsContext } from "../../../src/proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import { toEnvoyJson } from "../../../src/proto/json.ts";
import { meshServerSocket } from "../../../src/translate/tls.ts";
import { ask, FRONTEND, makeAttacks } from "../../attacks/certificates.ts";
import { type Certified, certify } from "../../unit/pki.ts";
import { freePorts } from "../../walk/origin.ts";
import { type RunningEnvoy, skipWithoutEnvoy, startEnvoy } from "./envoy.ts";

describe("certificates that must not get in, on Envoy", { skip: skipWithoutEnvoy() }, async () => {
  const world = await makeAttacks(FRONTEND);
  const directory = mkdtempSync(join(tmpdir(), "weft-certificates-"));
  let envoy: RunningEnvoy | undefined;
  let port = 0;

  before(async () => {
    const [admin = 0, listener = 0] = await freePorts(2);
    port = listener;
    envoy = await startEnvoy(directory, bootstrapOf(world.good, { admin, listener, ...world }), admin);
  });
  after(() => {
    envoy?.kill();
    rmSync(directory, { recursive: true });
  });

  test("the right one is let in", async () => {
    assert.match((await ask(port, world.good)).answer, /served$/);
  });

  for (const { name, identity, envoy: differs } of world.attacks) {
    test(`refused: ${name}`, { todo: differs ?? false }, async () => {
      assert.equal((await ask(port, identity)).answer, "");
    });
  }

  test("of an aliased trust domain is let in", async () => {
    const names = [{ type: "url", value: FRONTEND.replace("cluster.local", "old.example") }] as const;
    const alias = await certify({ subject: "CN=alias", issuer: world.root, names });
    assert.match((await ask(port, alias)).answer, /served$/);
  });
});

interface Place {
  readonly admin: number;
  readonly listener: number;
  readonly root: Certified;
  readonly crlPem: string;
}

function bootstrapOf(own: Certified, { admin, listener, root, crlPem }: Place): Readonly<Record<string, unknown>> {
  const text = (inline_string: string) => ({ inline_string });
  return {
    admin: { address: address(admin) },
    static_resources: {
      secrets: [
        {
          name: "default",
          tls_certificate: { certificate_chain: text(own.pem), private_key: text(own.keyPem) },
        },
        { name: "ROOTCA", validation_context: { trusted_ca: text(root.pem), crl: text(crlPem) } },
      ],
      listeners: [
        {
          name: "inbound",
          address: address(listener),
          filter_chains: [{ transport_socket: meshSocket(), filters: [answering()] }],
        },
      ],
    },
  };
}

/** As it is generated, with secrets of the bootstrap in place of the agent's. */
function meshSocket(): Readonly<Record<string, unknown>> {
  const mesh = { ...defaultMeshConfig, trustDomain: "cluster.local", trustDomainAliases: ["old.example"] };
  const any = meshServerSocket(["istio-http/1.1", "istio"], mesh).configType?.value;
  assert.ok(any);
  const context = DownstreamTlsContext.decode(any.value);
  const common = context.commonTlsContext;
  for (const secret of common?.tlsCertificateSdsSecretConfigs ?? []) secret.sdsConfig = undefined;
  const validation = common?.validationContextType;
  assert.ok(validation?.$case === "combinedValidationContext");
  const { validationContextSdsSecretConfig: trust } = validation.value;
  assert.ok(trust);
  trust.sdsConfig = undefined;
  const json = toEnvoyJson(DownstreamTlsContext, context);
  assert.ok(isRecord(json));
  return { name: "envoy.transport_sockets.tls", typed_config: { "@type": any.typeUrl, ...json } };
}

function answering(): Readonly<Record<string, unknown>> {
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      stat_prefix: "inbound",
      route_config: {
        virtual_hosts: [
          {
            name: "all",
            domains: ["*"],
            routes: [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: "served" } } }],
          },
        ],
      },
      http_filters: [
        {
          name: "envoy.filters.http.router",
          typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        },
      ],
    },
  };
}

function address(port: number): Readonly<Record<string, unknown>> {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}
