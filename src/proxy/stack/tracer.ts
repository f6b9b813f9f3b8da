// Which requests are traced, and the span of each: decided once a trace, told to the next hop, and to a backend at the end.

import type { Scope } from "../../observe/metrics.ts";
import {
  chanceOf,
  type Extracted,
  extractContext,
  injectContext,
  injectRefusal,
  newSpanId,
  newTraceId,
  type Outgoing,
  type TraceFormat,
  type TraceReason,
  traceReasonOf,
  withReason,
} from "../../observe/trace-context.ts";
import type { ResponseHead } from "../codec/head.ts";
import type { HeaderList } from "../codec/headers.ts";
import type { TraceProvider } from "../compile/trace-provider.ts";
import type { Sampling, TracingConfig } from "../compile/tracing.ts";
import type { Forward } from "./forward.ts";
import type { HttpStream } from "./http-stream.ts";
import type { Core } from "./runtime.ts";
import type { SpanExporter } from "./span-exporter.ts";
import { isError, requestTags, type TagsAbout } from "./span-tags.ts";
import { TrySpan } from "./try-span.ts";

const DECORATOR = "x-envoy-decorator-operation";
const ALL = 10_000;

class TracingStats {
  readonly random;
  readonly serviceForced;
  readonly clientForced;
  readonly notTraceable;

  constructor(scope: Scope) {
    this.random = scope.counter("tracing.random_sampling");
    this.serviceForced = scope.counter("tracing.service_forced");
    this.clientForced = scope.counter("tracing.client_enabled");
    this.notTraceable = scope.counter("tracing.not_traceable");
    // Nothing here marks a request as a health check.
    scope.counter("tracing.health_check");
  }
}

/** Of one connection manager. */
export class Tracer {
  readonly config: TracingConfig;
  readonly exporter: SpanExporter | undefined;
  readonly isEgress: boolean;
  readonly about: TagsAbout;
  readonly #core: Core;
  readonly #stats: TracingStats;
  readonly #untraced: RequestSpan;

  constructor(config: TracingConfig, core: Core, at: { readonly isEgress: boolean; readonly scope: Scope }) {
    this.config = config;
    this.#core = core;
    this.isEgress = at.isEgress;
    this.#untraced = new UntracedSpan(at.isEgress);
    this.#stats = new TracingStats(at.scope);
    this.exporter = config.provider === undefined ? undefined : core.spans.take(config.provider);
    const { nodeId, zone } = core.spans;
    this.about = { nodeId, zone, pathLengthMax: config.pathLengthMax, tags: config.tags };
  }

  close(): void {
    if (this.config.provider !== undefined) this.#core.spans.give(this.config.provider);
  }

  start(stream: HttpStream): RequestSpan | undefined {
    const reason = this.#decide(stream);
    this.#count(reason);
    const { provider } = this.config;
    if (provider === undefined || this.exporter === undefined) return undefined;
    const { random } = this.#core;
    const extracted = extractContext(stream.head.headers, provider.formats);
    const parent = extracted.context;
    if (!(extracted.sampled ?? reason !== "not-traceable")) return this.#refuse(stream, provider, extracted);
    const shared = parent !== undefined && provider.sharesIds && !this.isEgress;
    return new ActiveSpan(stream, this, this.exporter, {
      traceId: parent?.traceId ?? newTraceId(random, provider.longTraceIds),
      spanId: shared ? parent.spanId : newSpanId(random),
      parentId: shared ? parent.parentId : parent?.spanId,
      sampled: true,
      shared,
      formats: formatsFor(provider, extracted),
      traceState: parent?.traceState ?? "",
    });
  }

  /** A context that says no already, in all that the next hop reads, goes on as it came. */
  #refuse({ head }: HttpStream, provider: TraceProvider, extracted: Extracted): RequestSpan {
    const { headers } = head;
    const { context, sampled, present } = extracted;
    if (!this.isEgress) headers.remove(DECORATOR);
    if (!this.config.propagates) return this.#untraced;
    if (context === undefined) {
      if (sampled === undefined || present.length > 0 || !provider.formats.includes("b3"))
        injectRefusal(headers, headers.get("x-request-id") ?? "", formatsFor(provider, extracted));
    } else if (context.sampled === undefined || !provider.formats.every((format) => present.includes(format))) {
      injectContext(headers, { ...context, sampled: false }, formatsFor(provider, extracted));
    }
    return this.#untraced;
  }

  /** As Envoy: what the request's id says already holds; else a client's wish, the operator's, and chance, in that order. */
  #decide(stream: HttpStream): TraceReason {
    const { headers } = stream.head;
    const { sampling } = this.config;
    const own = stream.route?.tracing?.sampling;
    const share = (which: keyof Sampling) => own?.[which] ?? sampling[which];
    const id = headers.get("x-request-id") ?? "";
    const chance = this.config.byRequestId ? chanceOf(id) : Math.floor(this.#core.random() * ALL);
    if (chance === undefined) return "not-traceable";
    const before = this.config.byRequestId ? traceReasonOf(id) : "not-traceable";
    let reason = before;
    if (reason === "not-traceable") {
      if (headers.has("x-client-trace-id") && this.#core.random() * ALL < share("client")) reason = "client-forced";
      else if (headers.has("x-envoy-force-trace")) reason = "service-forced";
      else if (chance < share("random")) reason = "sampled";
    }
    if (reason !== "not-traceable" && chance >= share("overall")) reason = "not-traceable";
    if (reason !== before && this.config.byRequestId && this.config.marksRequestId)
      headers.set("x-request-id", withReason(id, reason));
    return reason;
  }

  #count(reason: TraceReason): void {
    switch (reason) {
      case "sampled":
        this.#stats.random.value += 1;
        break;
      case "service-forced":
        this.#stats.serviceForced.value += 1;
        break;
      case "client-forced":
        this.#stats.clientForced.value += 1;
        break;
      case "not-traceable":
        this.#stats.notTraceable.value += 1;
        break;
    }
  }
}

/** The backend's own, and whatever came: a header of before would contradict. */
function formatsFor(provider: TraceProvider, { present }: Extracted): readonly TraceFormat[] {
  const more = present.filter((format) => !provider.formats.includes(format));
  return more.length === 0 ? provider.formats : [...provider.formats, ...more];
}

/** What a stream knows of its span. */
export interface RequestSpan {
  readonly traceId: string | undefined;
  /** Into the request that goes on. */
  inject(): void;
  onTry(forward: Forward): void;
  /** Of a try after which there is another, or none. */
  onTryEnd(status: number, flags: string): void;
  onResponse(head: ResponseHead): void;
  end(): void;
}

/** Of all requests that nothing is told of. */
class UntracedSpan implements RequestSpan {
  readonly traceId = undefined;
  readonly #isEgress: boolean;

  constructor(isEgress: boolean) {
    this.#isEgress = isEgress;
  }

  inject(): void {
    // It was, when it was decided.
  }

  onTry(): void {
    // Nothing is told.
  }

  onTryEnd(): void {
    // The same.
  }

  onResponse({ headers }: ResponseHead): void {
    if (this.#isEgress) headers.remove(DECORATOR);
  }

  end(): void {
    // The same.
  }
}

interface Identity extends Outgoing {
  readonly shared: boolean;
  readonly formats: readonly TraceFormat[];
  readonly traceState: string;
}

export class ActiveSpan implements RequestSpan {
  readonly id: Identity;
  readonly tracer: Tracer;
  readonly exporter: SpanExporter;
  readonly #stream: HttpStream;
  #name: string;
  /** Headers of older Jaeger clients, as they came: flat, name and value. */
  readonly #received: readonly string[];
  /** What a server tells its client of the operation, unless the client told it first. */
  #decorated: string;
  #try: TrySpan | undefined;

  constructor(stream: HttpStream, tracer: Tracer, exporter: SpanExporter, id: Identity) {
    this.#stream = stream;
    this.tracer = tracer;
    this.exporter = exporter;
    this.id = id;
    const route = stream.route?.tracing;
    this.#decorated = route?.propagatesDecorator === false ? "" : (route?.decorator ?? "");
    this.#name = route?.decorator ?? "";
    const { headers } = stream.head;
    this.#received = receivedOf(headers);
    if (tracer.isEgress) {
      if (this.#decorated !== "") headers.set(DECORATOR, this.#decorated);
      return;
    }
    const told = headers.get(DECORATOR);
    if (told === undefined) return;
    if (told !== "") {
      this.#name = told;
      this.#decorated = "";
    }
    headers.remove(DECORATOR);
  }

  get traceId(): string {
    return this.id.traceId;
  }

  inject(): void {
    const { config } = this.tracer;
    if (config.spawnUpstreamSpan || !config.propagates) return;
    this.#write(this.id);
  }

  onTry(forward: Forward): void {
    const { config } = this.tracer;
    if (!config.spawnUpstreamSpan) return;
    this.#try = new TrySpan(this, this.#stream, forward);
    if (config.propagates) this.#write(this.#try.id);
  }

  onTryEnd(status: number, flags: string): void {
    this.#try?.end(status, flags);
    this.#try = undefined;
  }

  onResponse(head: ResponseHead): void {
    const { headers } = head;
    if (!this.tracer.isEgress) {
      if (this.#decorated !== "") headers.set(DECORATOR, this.#decorated);
      return;
    }
    const told = headers.get(DECORATOR);
    if (told === undefined) return;
    if (told !== "") this.#name = told;
    headers.remove(DECORATOR);
  }

  end(): void {
    const { id, tracer } = this;
    const stream = this.#stream;
    const record = stream.record();
    this.onTryEnd(record.responseCode, record.responseFlags);
    const { provider, operation, spawnUpstreamSpan } = tracer.config;
    const isServer = !tracer.isEgress || spawnUpstreamSpan || provider?.splitsSpans === true;
    const format = stream.route?.tracing?.operation ?? operation;
    this.exporter.add({
      traceId: id.traceId,
      spanId: id.spanId,
      parentId: id.parentId,
      kind: isServer ? "server" : "client",
      shared: id.shared,
      name: format?.(record) || this.#name || this.#plainName(provider),
      startUs: this.exporter.wallUs(stream.startMs),
      durationUs: (record.durationMs ?? 0) * 1000,
      tags: [...requestTags(stream, record, tracer.about), ...this.#received],
      isError: isError(record.responseCode),
      traceState: id.traceState,
    });
  }

  #plainName(provider: TraceProvider | undefined): string {
    const { authority } = this.#stream.head;
    if (provider?.backend.kind === "zipkin") return authority;
    return this.tracer.isEgress ? `egress ${authority}` : "ingress";
  }

  #write(outgoing: Outgoing): void {
    const { headers } = this.#stream.head;
    injectContext(headers, outgoing, this.id.formats);
    // It belongs to the trace parent that was taken, if that was one.
    if (this.id.traceState === "") headers.remove("tracestate");
  }
}

const NOTHING: readonly string[] = [];
const KEPT = ["jaeger-traceid", "uber-trace-id"];

function receivedOf(headers: HeaderList): readonly string[] {
  return KEPT.flatMap((name) => {
    const value = headers.get(name);
    return value === undefined ? NOTHING : [name, value];
  });
}
