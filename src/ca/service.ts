// istio.v1.auth.IstioCertificateService: a workload's request in, its certificate out.
// The caller gets its own identity, known from its token or certificate, whatever its request says.

import { type Server, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import type { KubeClient, TokenReview } from "../api/client.ts";
import type { Clock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import { readCertificate } from "../identity/chain.ts";
import { splitCertificates } from "../identity/pem.ts";
import { formatSpiffeId, type WorkloadIdentity } from "../identity/spiffe.ts";
import type { Counter, Registry } from "../observe/metrics.ts";
import { IstioCertificateRequest, IstioCertificateResponse } from "../proto/gen/istio/ca.ts";
import { method } from "../proto/grpc.ts";
import type { Authority } from "./authority.ts";
import { CallerLimiter } from "./caller-limiter.ts";
import { identityOf } from "./client-certificate.ts";
import { type ImpersonationOptions, impersonate, impersonated } from "./impersonation.ts";
import {
  CALLER_REQUESTS_MAX,
  EXPIRY_SHOWN_EVERY_MS,
  REQUESTS_MAX,
  WORKLOAD_LIFETIME_MAX_MS,
  WORKLOAD_LIFETIME_MS,
} from "./limits.ts";
import { readCsr } from "./request.ts";

export const CERTIFICATE_SERVICE = {
  createCertificate: method({
    path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
    kind: "unary",
    request: IstioCertificateRequest,
    response: IstioCertificateResponse,
  }),
} as const;

/** The audience that a workload's token must be made for. */
const TOKEN_AUDIENCE = "istio-ca";

export interface CertificateServiceOptions {
  readonly authority: Authority;
  readonly client: Pick<KubeClient, "reviewToken">;
  /** Who may ask for the pods on its node; nobody where it isn't said. */
  readonly impersonation?: Omit<ImpersonationOptions, "trustDomain">;
  readonly clock: Clock;
  readonly registry: Registry;
  /** Each decision, in a sentence. */
  readonly log?: (level: "info" | "warn", message: string) => void;
}

export interface Caller {
  /** `Bearer …`, when the call carries one. */
  readonly authorization: string | undefined;
  /** The certificate (DER) that the TLS layer has verified, when there is one. */
  readonly certificate: Buffer | undefined;
}

export interface Refusal {
  readonly code: status;
  readonly message: string;
}

export function addCertificateService(server: Server, options: CertificateServiceOptions): void {
  const answer = certificateAnswerer(options);
  type Call = ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>;
  server.addService(CERTIFICATE_SERVICE, {
    createCertificate: (call: Call, reply: sendUnaryData<IstioCertificateResponse>) => {
      const [authorization] = call.metadata.get("authorization");
      const caller: Caller = {
        authorization: authorization === undefined ? undefined : String(authorization),
        certificate: call.getAuthContext().sslPeerCertificate?.raw,
      };
      void answer(call.request, caller).then((result) =>
        result.ok
          ? reply(null, { certChain: [...result.value] })
          : reply({ code: result.error.code, details: result.error.message }),
      );
    },
  });
}

/** The service without its transport. */
function certificateAnswerer(
  options: CertificateServiceOptions,
): (request: IstioCertificateRequest, caller: Caller) => Promise<Result<readonly string[], Refusal>> {
  const counters = makeCounters(options);
  const limiter = new CallerLimiter(options.clock);
  let active = 0;
  return async (request, caller) => {
    if (active >= REQUESTS_MAX) {
      return err({
        code: status.RESOURCE_EXHAUSTED,
        message: `${REQUESTS_MAX} signing requests are being answered: try again`,
      });
    }
    active += 1;
    counters.requests.inc();
    try {
      return await answer(request, caller, { ...options, counters, limiter });
    } catch (error) {
      counters.signErrors.inc();
      return err({ code: status.INTERNAL, message: error instanceof Error ? error.message : String(error) });
    } finally {
      active -= 1;
    }
  };
}

interface Counters {
  readonly requests: Counter;
  readonly parseErrors: Counter;
  readonly signErrors: Counter;
  readonly issued: Counter;
  readonly refusedCallers: Counter;
  readonly limited: Counter;
  readonly refusedImpersonations: Counter;
}

function makeCounters(options: CertificateServiceOptions): Counters {
  const scope = options.registry.scope({ statPrefix: "", namePrefix: "", labels: {} });
  const { authority, clock } = options;
  const show = (): void => {
    for (const [name, { notAfterMs }] of [
      ["root_cert", authority.root],
      ["cert_chain", authority.signer],
    ] as const) {
      scope.gauge(`citadel_server_${name}_expiry_timestamp`).set(Math.floor(notAfterMs / 1000));
      scope.gauge(`citadel_server_${name}_expiry_seconds`).set(Math.floor((notAfterMs - clock.wallMs()) / 1000));
    }
    clock.after(EXPIRY_SHOWN_EVERY_MS, show);
  };
  show();
  authority.onChange(show);
  return {
    requests: scope.counter("citadel_server_csr_count"),
    parseErrors: scope.counter("citadel_server_csr_parsing_err_count"),
    signErrors: scope.counter("citadel_server_csr_sign_err_count"),
    issued: scope.counter("citadel_server_success_cert_issuance_count"),
    refusedCallers: scope.counter("citadel_server_authentication_failure_count"),
    limited: scope.counter("citadel_server_csr_rate_limited_count"),
    refusedImpersonations: scope.counter("citadel_server_impersonation_refused_count"),
  };
}

async function answer(
  request: IstioCertificateRequest,
  caller: Caller,
  options: CertificateServiceOptions & { readonly counters: Counters; readonly limiter: CallerLimiter },
): Promise<Result<readonly string[], Refusal>> {
  const { authority, counters, log } = options;
  const known = await identify(caller, options);
  if (!known.ok) {
    counters.refusedCallers.inc();
    log?.("warn", `signing request refused: ${known.error}`);
    return err({ code: status.UNAUTHENTICATED, message: known.error });
  }
  const identity = await meant(request, known.value, options);
  if (!identity.ok) {
    counters.refusedImpersonations.inc();
    const own = formatSpiffeId(known.value.identity);
    log?.("warn", `${own} asked for the certificate of another, which was refused: ${identity.error}`);
    return err({ code: status.PERMISSION_DENIED, message: identity.error });
  }
  const spiffeId = formatSpiffeId(identity.value);
  if (!options.limiter.admit(spiffeId)) {
    counters.limited.inc();
    const message = `${spiffeId} asked for more than ${CALLER_REQUESTS_MAX} certificates in a minute: try again later`;
    log?.("warn", `signing request refused: ${message}`);
    return err({ code: status.RESOURCE_EXHAUSTED, message });
  }
  const publicKey = await readCsr(request.csr);
  if (!publicKey.ok) {
    counters.parseErrors.inc();
    return err({ code: status.INVALID_ARGUMENT, message: `csr: ${publicKey.error}` });
  }
  const askedMs = request.validityDuration * 1000;
  const leaf = await authority.sign({
    publicKeyDer: publicKey.value,
    names: [{ type: "url", value: spiffeId }],
    lifetimeMs: askedMs > 0 ? Math.min(askedMs, WORKLOAD_LIFETIME_MAX_MS) : WORKLOAD_LIFETIME_MS,
  });
  counters.issued.inc();
  const facts = readCertificate(leaf);
  if (facts.ok) {
    const { serialNumber, notAfterMs } = facts.value;
    log?.("info", `certificate ${serialNumber} for ${spiffeId}, valid until ${new Date(notAfterMs).toISOString()}`);
  }
  return ok([leaf, ...splitCertificates(authority.chainPem), authority.rootPem]);
}

interface Known {
  readonly identity: WorkloadIdentity;
  /** Undefined where it showed a certificate. */
  readonly token: TokenReview | undefined;
}

/** Whose certificate the caller gets: its own, whatever it signs, or the one that it may ask for by name. */
async function meant(
  { metadata }: IstioCertificateRequest,
  { identity, token }: Known,
  { authority, impersonation }: CertificateServiceOptions,
): Promise<Result<WorkloadIdentity, string>> {
  const wanted = impersonated(metadata);
  if (wanted === undefined) return ok(identity);
  if (impersonation === undefined) return err("nobody may impersonate another here");
  return impersonate(wanted, token, { ...impersonation, trustDomain: authority.trustDomain });
}

async function identify(caller: Caller, options: CertificateServiceOptions): Promise<Result<Known, string>> {
  const token = /^Bearer (\S+)$/i.exec(caller.authorization ?? "")?.[1];
  if (token !== undefined) {
    const review = await options.client.reviewToken(token, TOKEN_AUDIENCE);
    if (!review.ok) return err(`the token was refused: ${review.error.message}`);
    const { namespace, serviceAccount } = review.value;
    const identity = { trustDomain: options.authority.trustDomain, namespace, serviceAccount };
    return ok({ identity, token: review.value });
  }
  if (caller.certificate === undefined) {
    return err(
      `no credential: send the pod's token (audience ${TOKEN_AUDIENCE}) as "authorization: Bearer …", or a workload certificate`,
    );
  }
  const identity = identityOf(caller.certificate, options.authority, options.clock.wallMs());
  return identity.ok ? ok({ identity: identity.value, token: undefined }) : identity;
}
