// External authorization: every request waits for the decision of a service, and takes along what that service says.

import type { Clock } from "../../base/clock.ts";
import type { Counter, Scope } from "../../observe/metrics.ts";
import type { ResponseHead } from "../codec/head.ts";
import type { HeaderList } from "../codec/headers.ts";
import type { BodyConfig, ExtAuthzConfig, ExtAuthzOverride, GrpcAuthorizer } from "../compile/ext-authz.ts";
import { AUTHZ_ANSWER_BYTES_MAX } from "../limits.ts";
import { type AuthzAnswer, type Granted, type HeaderEdit, isSafe } from "./authz-answer.ts";
import { askHttp } from "./authz-http.ts";
import type { Caller } from "./caller.ts";
import type { Exchange, Filter, Reply, Verdict } from "./filter.ts";

export interface AuthzAround {
  readonly clock: Clock;
  readonly scope: Scope;
  readonly caller: Caller;
}

interface Body {
  readonly bytes: Buffer;
  readonly isComplete: boolean;
  readonly how: BodyConfig;
}

type Stat = "ok" | "denied" | "error" | "disabled" | "failure_mode_allowed" | "invalid";

export function extAuthzFilter(name: string, config: ExtAuthzConfig, around: AuthzAround): Filter {
  return new ExtAuthzFilter(name, config, around);
}

class ExtAuthzFilter implements Filter {
  readonly #name: string;
  readonly #config: ExtAuthzConfig;
  readonly #around: AuthzAround;
  readonly #stats: Readonly<Record<Stat, Counter>>;
  readonly #granted = new WeakMap<Exchange, readonly HeaderEdit[]>();

  constructor(name: string, config: ExtAuthzConfig, around: AuthzAround) {
    this.#name = name;
    this.#config = config;
    this.#around = around;
    const prefix = config.statPrefix === "" ? "ext_authz." : `ext_authz.${config.statPrefix}.`;
    const counter = (stat: Stat) => around.scope.counter(`${prefix}${stat}`);
    this.#stats = {
      ok: counter("ok"),
      denied: counter("denied"),
      error: counter("error"),
      disabled: counter("disabled"),
      failure_mode_allowed: counter("failure_mode_allowed"),
      invalid: counter("invalid"),
    };
  }

  onRequest(exchange: Exchange): Verdict {
    const override = exchange.override(this.#name);
    if (override?.kind === "disabled") return undefined;
    const config = this.#config;
    if (!this.#isEnabled(exchange)) {
      this.#stats.disabled.inc();
      return config.denyAtDisable ? this.#error("the authorizer is disabled, and requests are denied then") : undefined;
    }
    const settings = override?.kind === "ext_authz_route" ? override : undefined;
    const how = settings?.withoutBody === true ? undefined : (settings?.body ?? config.body);
    const hasBody = exchange.head.framing !== "none" && exchange.head.upgrade === undefined;
    if (how === undefined || !hasBody) return this.#ask(exchange, settings, undefined);
    return {
      kind: "body",
      bytesMax: how.bytesMax,
      partial: how.partial,
      onBody: (bytes, isComplete) => this.#ask(exchange, settings, { bytes, isComplete, how }),
    };
  }

  onResponse(exchange: Exchange, response: ResponseHead): void {
    const edits = this.#granted.get(exchange);
    if (edits !== undefined) applyEdits(response.headers, edits);
  }

  #isEnabled(exchange: Exchange): boolean {
    const { enabledShare, enabledMetadata } = this.#config;
    if (enabledShare < 1 && exchange.random() >= enabledShare) return false;
    if (enabledMetadata === undefined) return true;
    return enabledMetadata.matches(exchange.subject.metadata(enabledMetadata.namespace));
  }

  #ask(exchange: Exchange, settings: ExtAuthzOverride | undefined, body: Body | undefined): Verdict {
    const { authorizer } = this.#config;
    return {
      kind: "wait",
      start: (resume) => {
        const done = (answer: AuthzAnswer) => resume(this.#conclude(exchange, answer));
        if (authorizer.kind === "grpc") return this.#askGrpc({ exchange, settings, body }, authorizer, done);
        const question = { exchange, config: this.#config, body: body?.bytes };
        return askHttp(question, authorizer, done, this.#around.caller);
      },
    };
  }

  #askGrpc(
    asked: {
      readonly exchange: Exchange;
      readonly settings: ExtAuthzOverride | undefined;
      readonly body: Body | undefined;
    },
    authorizer: GrpcAuthorizer,
    done: (answer: AuthzAnswer) => void,
  ): () => void {
    const { clock, caller } = this.#around;
    let cancel: (() => void) | undefined;
    let cancelled = false;
    void import("./authz-grpc.ts").then(({ CHECK_PATH, encodeCheck, decodeCheck }) => {
      if (cancelled) return;
      const message = encodeCheck({
        exchange: asked.exchange,
        config: this.#config,
        body: asked.body,
        contextExtensions: asked.settings?.contextExtensions ?? {},
        wallMs: clock.wallMs(),
      });
      cancel = caller.grpc(
        { ...authorizer, path: CHECK_PATH, message, responseBytesMax: AUTHZ_ANSWER_BYTES_MAX },
        (result) =>
          done(result.kind === "failed" ? { kind: "error", reason: result.reason } : decodeCheck(result.message)),
      );
    });
    return () => {
      cancelled = true;
      cancel?.();
    };
  }

  #conclude(exchange: Exchange, answer: AuthzAnswer): Verdict {
    if (answer.kind === "error") return this.#failed(exchange, answer.reason);
    if (answer.metadata !== undefined) exchange.setDynamicMetadata(this.#name, answer.metadata);
    if (answer.kind === "granted") return this.#grant(exchange, answer);
    this.#stats.denied.inc();
    if (!answer.headers.every(isSafe)) return this.#invalid();
    const headers = answer.headers.flatMap(({ name, value }) => [name, value]);
    if (answer.body !== "" && !answer.headers.some(({ name }) => name === "content-type")) {
      headers.push("content-type", "text/plain");
    }
    return {
      kind: "reply",
      status: answer.status,
      body: answer.body,
      details: "ext_authz_denied",
      flag: "UAEX",
      headers,
      cause: `denied by the external authorizer ${this.#config.authorizer.cluster}`,
    };
  }

  #grant(exchange: Exchange, answer: Granted): Verdict {
    if (![...answer.headers, ...answer.responseHeaders].every(isSafe)) return this.#invalid();
    this.#stats.ok.inc();
    const { head } = exchange;
    for (const name of answer.headersToRemove) head.headers.remove(name);
    applyEdits(head.headers, answer.headers);
    if (answer.queryToSet.length > 0 || answer.queryToRemove.length > 0) head.path = withQuery(head.path, answer);
    if (answer.responseHeaders.length > 0) this.#granted.set(exchange, answer.responseHeaders);
    const changed = answer.headers.length > 0 || answer.headersToRemove.length > 0;
    if (this.#config.clearRoute && changed) exchange.clearRoute();
    return undefined;
  }

  #failed(exchange: Exchange, reason: string): Verdict {
    this.#stats.error.inc();
    if (!this.#config.failureModeAllow) return this.#error(reason);
    this.#stats.failure_mode_allowed.inc();
    if (this.#config.failureModeAllowHeader) exchange.head.headers.set("x-envoy-auth-failure-mode-allowed", "true");
    return undefined;
  }

  #error(reason: string): Reply {
    return {
      kind: "reply",
      status: this.#config.statusOnError,
      body: "",
      details: "ext_authz_error",
      flag: "UAEX",
      headers: [],
      cause: `external authorizer: ${reason}`,
    };
  }

  #invalid(): Reply {
    this.#stats.invalid.inc();
    return {
      kind: "reply",
      status: 500,
      body: "",
      details: "ext_authz_invalid",
      flag: "",
      headers: [],
      cause: "the external authorizer asked for a header that can't be sent",
    };
  }
}

function applyEdits(headers: HeaderList, edits: readonly HeaderEdit[]): void {
  for (const { name, value, how } of edits) {
    const there = headers.has(name);
    if (how === "add") headers.add(name, value);
    else if (how === "append" && there) headers.append(name, value);
    else if (how === "set" || (how === "add-if-absent" && !there) || (how === "set-if-exists" && there))
      headers.set(name, value);
  }
}

function withQuery(path: string, answer: Granted): string {
  const question = path.indexOf("?");
  const query = new URLSearchParams(question === -1 ? "" : path.slice(question + 1));
  for (const { name, value } of answer.queryToSet) query.set(name, value);
  for (const name of answer.queryToRemove) query.delete(name);
  // Envoy keeps parameters by name.
  query.sort();
  const text = query.toString();
  return `${question === -1 ? path : path.slice(0, question)}${text === "" ? "" : `?${text}`}`;
}
