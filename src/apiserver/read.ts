// get, list and watch over HTTPS.

import type { ServerResponse } from "node:http";
import type { KubeObject } from "../api/object.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type ApiRequest, type Reply, replyFailed } from "./http.ts";
import {
  BOOKMARK_INTERVAL_MS,
  LIST_PAGE_MAX,
  WATCH_BUFFER_BYTES_MAX,
  WATCH_TIMEOUT_MS_DEFAULT,
  WATCHES_MAX,
} from "./limits.ts";
import { type Presenter, presenterFor, storedKind } from "./present.ts";
import type { Resources, Selection } from "./resources.ts";
import type { ResourceRoute } from "./route.ts";
import { type ApiFailure, badRequest, expired, failure, toStatus } from "./status.ts";
import type { Subscription } from "./store.ts";
import { eventSelector } from "./watch.ts";

export class Reader {
  readonly #resources: Resources;
  readonly #clock: Clock;
  readonly #open = new Set<ServerResponse>();

  constructor(resources: Resources, clock: Clock) {
    this.#resources = resources;
    this.#clock = clock;
  }

  async get(request: ApiRequest, route: ResourceRoute, name: string): Promise<Reply> {
    const found = await this.#resources.get(storedKind(route.kind), refOf(route, name));
    if (!found.ok) return replyFailed(found.error);
    const presenter = this.#presenter(request, route);
    return { kind: "json", code: 200, body: presenter.one(found.value), contentType: presenter.contentType };
  }

  async list(request: ApiRequest, route: ResourceRoute): Promise<Reply> {
    const kind = storedKind(route.kind);
    const listed = await this.#resources.list(kind, selectionOf(request, route));
    if (!listed.ok) return replyFailed(listed.error);
    const wanted = Number(request.query.get("resourceVersion") ?? 0);
    if (wanted > listed.value.revision) return replyFailed(tooLargeVersion(wanted, listed.value.revision));
    const page = paginate(listed.value.objects, request.query, listed.value.revision);
    if (!page.ok) return replyFailed(page.error);
    const presenter = this.#presenter(request, route);
    const body = presenter.many(page.value.objects, page.value.metadata);
    return { kind: "json", code: 200, body, contentType: presenter.contentType };
  }

  async watch(request: ApiRequest, route: ResourceRoute): Promise<Reply> {
    const kind = storedKind(route.kind);
    const selection = selectionOf(request, route);
    const select = eventSelector(kind, selection);
    if (!select.ok) return replyFailed(select.error);
    if (this.#open.size >= WATCHES_MAX) {
      return replyFailed(failure(429, "TooManyRequests", `there are already ${WATCHES_MAX} watches; try again later`));
    }
    const { query } = request;
    const given = query.get("resourceVersion") ?? "";
    if (given !== "" && !/^\d+$/.test(given))
      return replyFailed(badRequest(`resourceVersion: Invalid value: ${JSON.stringify(given)}`));
    const listed = await this.#resources.list(kind, selection);
    if (!listed.ok) return replyFailed(listed.error);
    const sendsInitial = query.get("sendInitialEvents") === "true";
    const startsNow = given === "" || given === "0" || sendsInitial;
    return {
      kind: "stream",
      run: (response) => {
        const stream = new WatchStream(response, this.#presenter(request, route), this.#clock);
        this.#open.add(response);
        response.on("close", () => this.#open.delete(response));
        stream.begin(query);
        if (startsNow) for (const object of listed.value.objects) stream.event("ADDED", object);
        if (sendsInitial) stream.bookmark(listed.value.revision, true);
        const from = startsNow ? listed.value.revision : Number(given);
        const subscription = this.#resources.store.subscribe(from, (event) => {
          const chosen = select.value(event);
          if (chosen !== undefined) stream.event(TYPES[chosen.type], chosen.object);
        });
        if (subscription === undefined) stream.fail(expired(given));
        else stream.follow(subscription, () => this.#resources.store.revision);
      },
    };
  }

  /** Ends every open watch, so that the server can close. */
  close(): void {
    for (const response of this.#open) response.end();
  }

  #presenter(request: ApiRequest, route: ResourceRoute): Presenter {
    return presenterFor(request, route, () => this.#clock.wallMs());
  }
}

const TYPES = { added: "ADDED", modified: "MODIFIED", deleted: "DELETED" } as const;

/** One client's watch: lines of JSON until it leaves, its time is over, or it reads too slowly. */
class WatchStream {
  readonly #response: ServerResponse;
  readonly #presenter: Presenter;
  readonly #clock: Clock;
  #timers: Timer[] = [];
  #subscription: Subscription | undefined;
  #isFirst = true;
  #wantsBookmarks = false;

  constructor(response: ServerResponse, presenter: Presenter, clock: Clock) {
    this.#response = response;
    this.#presenter = presenter;
    this.#clock = clock;
  }

  begin(query: URLSearchParams): void {
    this.#wantsBookmarks = query.get("allowWatchBookmarks") === "true";
    const seconds = Number(query.get("timeoutSeconds") ?? 0);
    const timeoutMs = seconds > 0 ? seconds * 1000 : WATCH_TIMEOUT_MS_DEFAULT;
    this.#response.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
    this.#response.flushHeaders();
    this.#response.on("close", () => this.#stop());
    this.#timers.push(this.#clock.after(timeoutMs, () => this.#response.end()));
  }

  follow(subscription: Subscription, revision: () => number): void {
    this.#subscription = subscription;
    if (this.#response.destroyed) this.#stop();
    else if (this.#wantsBookmarks) this.#scheduleBookmark(revision);
  }

  event(type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): void {
    const shown = this.#isFirst ? this.#presenter.one(object) : this.#presenter.further(object);
    this.#isFirst = false;
    this.#write({ type, object: shown });
  }

  bookmark(revision: number, isInitialEnd: boolean): void {
    const annotations = isInitialEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {};
    const object = this.#presenter.bookmark({ resourceVersion: String(revision), ...annotations });
    this.#write({ type: "BOOKMARK", object });
  }

  fail(error: ApiFailure): void {
    this.#write({ type: "ERROR", object: toStatus(error) });
    this.#response.end();
  }

  #scheduleBookmark(revision: () => number): void {
    this.#timers = [
      ...this.#timers.slice(0, 1),
      this.#clock.after(BOOKMARK_INTERVAL_MS, () => {
        this.bookmark(revision(), false);
        this.#scheduleBookmark(revision);
      }),
    ];
  }

  #write(line: object): void {
    if (this.#response.destroyed || this.#response.writableEnded) return;
    this.#response.write(`${JSON.stringify(line)}\n`);
    // A client that does not read must not fill the server's memory: it lists again when it is back.
    if (this.#response.writableLength > WATCH_BUFFER_BYTES_MAX) this.#response.destroy();
  }

  #stop(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#subscription?.stop();
  }
}

export function selectionOf(request: ApiRequest, route: ResourceRoute): Selection {
  return {
    namespace: route.namespace,
    labelSelector: request.query.get("labelSelector") ?? undefined,
    fieldSelector: request.query.get("fieldSelector") ?? undefined,
  };
}

export function refOf(route: ResourceRoute, name: string): { namespace?: string; name: string } {
  return route.namespace === undefined || !route.kind.namespaced ? { name } : { namespace: route.namespace, name };
}

interface Page {
  readonly objects: readonly KubeObject[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

function paginate(objects: readonly KubeObject[], query: URLSearchParams, revision: number): Result<Page, ApiFailure> {
  const limit = Math.min(Number(query.get("limit") ?? 0) || LIST_PAGE_MAX, LIST_PAGE_MAX);
  const token = query.get("continue") ?? "";
  let rest = objects;
  let resourceVersion = String(revision);
  if (token !== "") {
    const parsed = parseJson(Buffer.from(token, "base64url").toString("utf8"));
    if (!parsed.ok || !isRecord(parsed.value))
      return err(badRequest("continue key is not valid: list again without it"));
    const after = String(parsed.value["after"]);
    resourceVersion = String(parsed.value["rv"]);
    rest = objects.filter((object) => keyOf(object) > after);
  }
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const remaining = rest.length - page.length;
  if (remaining === 0 || last === undefined) return ok({ objects: page, metadata: { resourceVersion } });
  const next = Buffer.from(JSON.stringify({ after: keyOf(last), rv: resourceVersion })).toString("base64url");
  return ok({ objects: page, metadata: { resourceVersion, continue: next, remainingItemCount: remaining } });
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

function tooLargeVersion(wanted: number, current: number): ApiFailure {
  const cause = { reason: "ResourceVersionTooLarge", message: "Too large resource version" };
  return {
    ...failure(504, "Timeout", `Too large resource version: ${wanted}, current: ${current}`),
    details: { causes: [cause], retryAfterSeconds: 1 },
  };
}
