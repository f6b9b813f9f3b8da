// Service-account tokens: made for a pod, checked against the objects they name.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import type { TokenRequest, TokenReview } from "../api/client.ts";
import { podKind } from "../api/kubernetes/pod.ts";
import { serviceAccountKind } from "../api/kubernetes/service-account.ts";
import type { Clock } from "../base/clock.ts";
import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { TOKEN_SECONDS_MAX, TOKEN_SECONDS_MIN } from "./limits.ts";
import { collectionOf } from "./resources.ts";
import { type ApiFailure, badRequest, conflict, failure, notFound } from "./status.ts";
import type { Store } from "./store.ts";

const ISSUER = "https://kubernetes.default.svc.cluster.local";
/** What a token without an audience of its own is for: this API. */
export const API_AUDIENCE = ISSUER;
const ALGORITHM = "ES256";

export function makeTokenKeyPem(): string {
  return generateKeyPairSync("ec", { namedCurve: "P-256" })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();
}

export interface IssuedToken {
  readonly token: string;
  readonly expiresAtMs: number;
}

export class Tokens {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;

  constructor(options: { readonly store: Store; readonly clock: Clock; readonly keyPem: string }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#privateKey = createPrivateKey(options.keyPem);
    this.#publicKey = createPublicKey(this.#privateKey);
  }

  async issue(request: TokenRequest): Promise<Result<IssuedToken, ApiFailure>> {
    const { namespace, serviceAccount, pod } = request;
    const account = this.#store.get(collectionOf(serviceAccountKind), namespace, serviceAccount);
    if (account === undefined) return err(notFound(serviceAccountKind, serviceAccount));
    if (request.expirationSeconds < TOKEN_SECONDS_MIN) {
      return err(
        badRequest(`spec.expirationSeconds: may not specify a duration less than ${TOKEN_SECONDS_MIN / 60} minutes`),
      );
    }
    if (pod !== undefined) {
      const bound = this.#store.get(collectionOf(podKind), namespace, pod.name);
      if (bound === undefined) return err(notFound(podKind, pod.name));
      if (bound.metadata.uid !== pod.uid) {
        return err(
          conflict(
            podKind,
            pod.name,
            `the UID in the bound object reference (${pod.uid}) does not match the UID in record (${bound.metadata.uid})`,
          ),
        );
      }
    }
    const nowSeconds = Math.floor(this.#clock.wallMs() / 1000);
    const expiresSeconds = nowSeconds + Math.min(request.expirationSeconds, TOKEN_SECONDS_MAX);
    const { SignJWT } = await import("jose");
    const token = await new SignJWT({
      "kubernetes.io": {
        namespace,
        serviceaccount: { name: serviceAccount, uid: account.metadata.uid },
        ...(pod === undefined ? {} : { pod }),
      },
    })
      .setProtectedHeader({ alg: ALGORITHM })
      .setIssuer(ISSUER)
      .setSubject(`system:serviceaccount:${namespace}:${serviceAccount}`)
      .setAudience(request.audiences.length === 0 ? [API_AUDIENCE] : [...request.audiences])
      .setIssuedAt(nowSeconds)
      .setNotBefore(nowSeconds)
      .setExpirationTime(expiresSeconds)
      .setJti(randomUUID())
      .sign(this.#privateKey);
    return ok({ token, expiresAtMs: expiresSeconds * 1000 });
  }

  /** Signature, time and audience by the token alone; account and pod must still be the ones it was made for. */
  async review(token: string, audience: string): Promise<Result<TokenReview, ApiFailure>> {
    const { jwtVerify } = await import("jose");
    let payload: unknown;
    try {
      const options = {
        issuer: ISSUER,
        audience,
        algorithms: [ALGORITHM],
        currentDate: new Date(this.#clock.wallMs()),
      };
      payload = (await jwtVerify(token, this.#publicKey, options)).payload;
    } catch (error) {
      return err(
        failure(
          401,
          "Unauthorized",
          `the token is not valid: ${error instanceof Error ? error.message : String(error)}`,
        ),
      );
    }
    const claims = isRecord(payload) ? payload["kubernetes.io"] : undefined;
    if (!isRecord(claims) || typeof claims["namespace"] !== "string") return err(stale("it names no service account"));
    const namespace = claims["namespace"];
    const account = nameAndUid(claims["serviceaccount"]);
    if (account === undefined || !this.#lives(collectionOf(serviceAccountKind), namespace, account)) {
      return err(stale(`service account ${namespace}/${account?.name} is gone`));
    }
    const pod = nameAndUid(claims["pod"]);
    if (pod !== undefined && !this.#lives(collectionOf(podKind), namespace, pod)) {
      return err(stale(`pod ${namespace}/${pod.name} is gone`));
    }
    return ok({
      namespace,
      serviceAccount: account.name,
      audiences: [audience],
      ...(pod === undefined ? {} : { pod }),
    });
  }

  #lives(collection: string, namespace: string, ref: { readonly name: string; readonly uid: string }): boolean {
    return this.#store.get(collection, namespace, ref.name)?.metadata.uid === ref.uid;
  }
}

function stale(why: string): ApiFailure {
  return failure(401, "Unauthorized", `the token is no longer valid: ${why}`);
}

function nameAndUid(value: unknown): { name: string; uid: string } | undefined {
  if (!isRecord(value) || typeof value["name"] !== "string" || typeof value["uid"] !== "string") return undefined;
  return { name: value["name"], uid: value["uid"] };
}
