// Keys and certificates of the mesh's identities, and the service that Envoy gets its own from.

import assert from "node:assert/strict";
import { constants, createPublicKey } from "node:crypto";
import tls from "node:tls";
import type * as grpc from "@grpc/grpc-js";
import { systemClock } from "../../../src/base/clock.ts";
import { openAuthority } from "../../../src/ca/authority.ts";
import { generateKey, privateKeyToPem } from "../../../src/identity/key.ts";
import { Secret } from "../../../src/proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import { DiscoveryRequest, DiscoveryResponse } from "../../../src/proto/gen/envoy/service/discovery/v3/discovery.ts";
import { method, toBuffer } from "../../../src/proto/grpc.ts";
import type { SecretSource } from "../../../src/proxy/socket/secret.ts";

const LIFETIME_MS = 3_600_000;

export interface Identity {
  readonly id: string;
  readonly key: string;
  readonly cert: string;
}

export interface Identities {
  readonly rootPem: string;
  get(namespace: string, account: string): Promise<Identity>;
}

export async function openIdentities(directory: string): Promise<Identities> {
  const authority = await openAuthority({ directory, trustDomain: "cluster.local", clock: systemClock });
  assert.ok(authority.ok, authority.ok ? "" : authority.error);
  const { value } = authority;
  const made = new Map<string, Identity>();
  return {
    rootPem: value.rootPem,
    async get(namespace, account) {
      const id = `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
      const known = made.get(id);
      if (known !== undefined) return known;
      const key = generateKey();
      const publicKeyDer = Uint8Array.from(createPublicKey(key).export({ type: "spki", format: "der" }));
      const cert = await value.sign({ publicKeyDer, names: namesOf(id, namespace, account), lifetimeMs: LIFETIME_MS });
      const identity = { id, key: privateKeyToPem(key), cert };
      made.set(id, identity);
      return identity;
    },
  };
}

/** The mesh looks at the identity, and who is told to trust a file at the server's name. */
function namesOf(id: string, namespace: string, account: string) {
  const hosts = [`${account}.${namespace}.svc.cluster.local`, `${account}.example.com`];
  return [{ type: "url" as const, value: id }, ...hosts.map((value) => ({ type: "dns" as const, value }))];
}

/** Without tickets: a resumed session doesn't tell the name that was asked for. */
export function contextOf({ key, cert }: Identity): tls.SecureContext {
  const secureOptions = constants.SSL_OP_NO_TICKET;
  return tls.createSecureContext({ key, cert, secureOptions, sessionIdContext: "sim" });
}

/** As weft's proxy takes them. */
export function secretSource(identity: Identity, rootPem: string): SecretSource {
  return {
    get: (name) => {
      if (name === "default")
        return { kind: "certificate", certificateChainPem: identity.cert, privateKeyPem: identity.key };
      return name === "ROOTCA" ? { kind: "trust", bundlePem: rootPem, crlPem: undefined } : undefined;
    },
    onChange: () => () => undefined,
  };
}

const streamSecrets = method<DiscoveryRequest, DiscoveryResponse>({
  path: "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
  kind: "bidi",
  request: DiscoveryRequest,
  response: DiscoveryResponse,
});

/** As Envoy does: `default` and `ROOTCA` by SDS. */
export function registerSecrets(server: grpc.Server, current: () => Identity, rootPem: string): void {
  server.addService(
    { streamSecrets },
    {
      streamSecrets: (call: grpc.ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>) => {
        call.on("error", () => undefined);
        call.on("end", () => call.end());
        call.on("data", (request: DiscoveryRequest) => {
          if (request.versionInfo !== "") return;
          const resources = request.resourceNames.map((name) => secretOf(name, current(), rootPem));
          call.write(
            DiscoveryResponse.fromPartial({
              versionInfo: "1",
              nonce: "1",
              typeUrl: SECRET_TYPE,
              resources: resources.map((each) => ({
                typeUrl: SECRET_TYPE,
                value: toBuffer(Secret.encode(each).finish()),
              })),
            }),
          );
        });
      },
    },
  );
}

const SECRET_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

function secretOf(name: string, { key, cert }: Identity, rootPem: string): Secret {
  const inline = (text: string) => ({ specifier: { $case: "inlineString" as const, value: text } });
  if (name === "ROOTCA") {
    return Secret.fromPartial({ name, type: { $case: "validationContext", value: { trustedCa: inline(rootPem) } } });
  }
  const value = { certificateChain: inline(cert), privateKey: inline(key) };
  return Secret.fromPartial({ name, type: { $case: "tlsCertificate", value } });
}
