// Envoy's secret discovery, served from memory: the workload's certificate and the mesh's trust, and each later one.

import type * as grpc from "@grpc/grpc-js";
import type { Log } from "../observe/log.ts";
import {
  CertificateValidationContext,
  TlsCertificate,
} from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/common.ts";
import { Secret } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import { DiscoveryRequest, DiscoveryResponse } from "../proto/gen/envoy/service/discovery/v3/discovery.ts";
import { method } from "../proto/grpc.ts";
import type { SecretSource, SecretValue } from "../proxy/socket/secret.ts";

const TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

const STREAM = method({
  path: "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
  kind: "bidi",
  request: DiscoveryRequest,
  response: DiscoveryResponse,
});

type Call = grpc.ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>;

export function addSecretService(server: grpc.Server, secrets: SecretSource, log: Log): void {
  server.addService({ stream: STREAM }, { stream: (call: Call) => serve(call, secrets, log) });
}

function serve(call: Call, secrets: SecretSource, log: Log): void {
  const watched = new Map<string, () => void>();
  let version = 0;
  const send = (): void => {
    const resources = [...watched.keys()].flatMap((name) => {
      const value = secrets.get(name);
      return value === undefined ? [] : [{ typeUrl: TYPE, value: Buffer.from(encode(name, value)) }];
    });
    if (resources.length === 0) return;
    version += 1;
    const versionInfo = String(version);
    call.write(DiscoveryResponse.fromPartial({ versionInfo, nonce: versionInfo, typeUrl: TYPE, resources }));
  };
  const end = (): void => {
    for (const stop of watched.values()) stop();
    watched.clear();
  };
  call.on("data", ({ resourceNames, errorDetail }: DiscoveryRequest) => {
    if (errorDetail !== undefined) log.warning(`Envoy refused a secret: ${errorDetail.message}`);
    const isNew = resourceNames.some((name) => !watched.has(name));
    for (const name of resourceNames) if (!watched.has(name)) watched.set(name, secrets.onChange(name, send));
    if (isNew) send();
  });
  call.on("end", () => {
    end();
    call.end();
  });
  call.on("error", end);
  call.on("close", end);
  call.on("cancelled", end);
}

function encode(name: string, value: SecretValue): Uint8Array {
  return Secret.encode({ name, type: contents(value) }).finish();
}

function contents(value: SecretValue): NonNullable<Secret["type"]> {
  if (value.kind === "certificate") {
    const pair = { certificateChain: inline(value.certificateChainPem), privateKey: inline(value.privateKeyPem) };
    return { $case: "tlsCertificate", value: TlsCertificate.fromPartial(pair) };
  }
  const crl = value.crlPem === undefined ? {} : { crl: inline(value.crlPem) };
  const context = CertificateValidationContext.fromPartial({ trustedCa: inline(value.bundlePem), ...crl });
  return { $case: "validationContext", value: context };
}

function inline(text: string) {
  return { specifier: { $case: "inlineBytes" as const, value: Buffer.from(text) } };
}
