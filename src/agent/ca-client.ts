// One question to the certificate authority: a signing request and the pod's token out, a certificate chain back.

import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { err, ok, type Result } from "../base/result.ts";
import { IstioCertificateRequest, IstioCertificateResponse } from "../proto/gen/istio/ca.ts";
import { method } from "../proto/grpc.ts";
import { CA_CALL_TIMEOUT_MS } from "./limits.ts";

/** What the control plane's certificate must be for, whatever address is dialled. */
export const CONTROL_SERVER_NAME = "istiod.istio-system.svc";

export interface CaCall {
  readonly address: string;
  readonly rootPem: string;
  readonly token: string;
  readonly csrPem: string;
  /** 0: what the authority gives without being asked. */
  readonly lifetimeSeconds?: number;
}

const CREATE_CERTIFICATE = method({
  path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
  kind: "unary",
  request: IstioCertificateRequest,
  response: IstioCertificateResponse,
});

/** PEM certificates, the leaf first and the root last. */
export function requestCertificate(call: CaCall): Promise<Result<readonly string[], string>> {
  const made = makeClient(call);
  if (!made.ok) return Promise.resolve(made);
  const client = made.value;
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${call.token}`);
  const request = { csr: call.csrPem, validityDuration: call.lifetimeSeconds ?? 0, metadata: undefined };
  const { path, requestSerialize, responseDeserialize } = CREATE_CERTIFICATE;
  return new Promise((resolve) => {
    const reply = (error: ServiceError | null, response?: IstioCertificateResponse) => {
      client.close();
      if (error !== null) resolve(err(`${call.address}: ${status[error.code] ?? error.code}: ${error.details}`));
      else if (response === undefined || response.certChain.length < 2)
        resolve(err(`${call.address} sent no certificate chain`));
      else resolve(ok(response.certChain));
    };
    const options = { deadline: Date.now() + CA_CALL_TIMEOUT_MS };
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, options, reply);
  });
}

function makeClient(call: CaCall): Result<Client, string> {
  try {
    return ok(
      new Client(call.address, credentials.createSsl(Buffer.from(call.rootPem)), {
        "grpc.ssl_target_name_override": CONTROL_SERVER_NAME,
        "grpc.default_authority": CONTROL_SERVER_NAME,
        "grpc.use_local_subchannel_pool": 1,
        "grpc.service_config_disable_resolution": 1,
        "grpc.enable_http_proxy": 0,
      }),
    );
  } catch (error) {
    return err(`TLS to ${call.address}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
