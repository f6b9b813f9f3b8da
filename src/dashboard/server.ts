// The page's server: who may ask, the files, the data and the stream of figures. Nothing is answered to nobody.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { KubeClient } from "../api/client.ts";
import type { Clock } from "../base/clock.ts";
import { type ListenAddress, listen } from "../base/listen.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type Answer, type Api, answerApi } from "./api.ts";
import type { Assets } from "./assets.ts";
import { CONNECTIONS_MAX, HEADER_BYTES_MAX, REQUEST_TIMEOUT_MS } from "./limits.ts";
import { Live } from "./live.ts";
import { LOGIN_PATH, loginAnswer, loginPage, signInPage } from "./login.ts";
import { type Caller, checkHost, checkMayChange, checkOwnPage, checkSite, readCaller } from "./request.ts";
import { Sessions } from "./session.ts";

export interface DashboardOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly client: Pick<KubeClient, "reviewToken">;
  /** Whose accounts open the page. */
  readonly namespace: string;
  /** The files; made or read when they are first asked for. */
  readonly assets: () => Promise<Result<Assets, string>>;
  /** Called when the first page looks on; what it returns, when the last has gone. */
  readonly onWatched: () => () => void;
  readonly warn: (message: string) => void;
  readonly listen: ListenAddress;
}

export interface Dashboard {
  readonly port: number;
  close(): Promise<void>;
}

export async function startDashboard(options: DashboardOptions): Promise<Result<Dashboard, string>> {
  const handler = new Handler(options);
  const server = createServer(
    { maxHeaderSize: HEADER_BYTES_MAX, requestTimeout: REQUEST_TIMEOUT_MS },
    (message, response) => void handler.answer(message, response),
  );
  server.maxConnections = CONNECTIONS_MAX;
  const port = await listen(server, options.listen);
  if (!port.ok) return err(`the page: ${port.error}`);
  return ok({ port: port.value, close: () => close(server, handler) });
}

async function close(server: Server, handler: Handler): Promise<void> {
  handler.close();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

/** Beside its own files the page may load nothing, run nothing, and be framed by nobody. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

class Handler {
  readonly #options: DashboardOptions;
  readonly #sessions: Sessions;
  readonly #live: Live;

  constructor(options: DashboardOptions) {
    const { api, clock, onWatched, warn } = options;
    this.#options = options;
    this.#sessions = new Sessions(clock);
    this.#live = new Live({ clock, pulse: () => api.pulse(), onWatched, warn });
  }

  close(): void {
    this.#live.close();
  }

  async answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => response.destroy());
    try {
      const answer = await this.#route(message, response);
      if (answer !== undefined) send(message, response, answer);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.warn(`the page: ${message.url}: ${why}`);
      send(message, response, failed(500, "something went wrong here: the control plane's log says what"));
    }
    if (!message.complete) message.resume();
  }

  /** Undefined: it is answered already. */
  async #route(message: IncomingMessage, response: ServerResponse): Promise<Answer | undefined> {
    const { method = "GET", headers } = message;
    const refused = checkHost(headers) ?? checkSite(method, headers);
    if (refused !== undefined) return failed(refused.status, refused.message);
    const url = new URL(message.url ?? "/", "http://page");
    if (url.pathname === LOGIN_PATH) return this.#login(message, url);
    const caller = readCaller(this.#sessions, headers, cookieName(headers.host));
    if (caller === undefined) {
      return url.pathname.startsWith("/api/") ? failed(401, "log in first: weft dashboard") : signInPage();
    }
    if (!caller.session.requests.admit()) return failed(429, "too many requests: wait a second");
    if (method === "GET" || method === "HEAD") return this.#get(url, caller, response);
    const foreign = checkOwnPage(headers, caller.session);
    if (foreign !== undefined) return failed(foreign.status, foreign.message);
    if (url.pathname === "/api/logout") {
      this.#sessions.close(caller.token);
      return { status: 204, type: "text/plain", body: "", headers: { "set-cookie": cookie(headers.host, "", 0) } };
    }
    const forbidden = checkMayChange(caller.session);
    if (forbidden !== undefined) return failed(forbidden.status, forbidden.message);
    return answerApi(this.#options.api, { method, url, caller });
  }

  async #get(url: URL, caller: Caller, response: ServerResponse): Promise<Answer | undefined> {
    if (url.pathname === "/api/live") {
      if (this.#live.add(response, SECURITY_HEADERS)) return undefined;
      return failed(503, "too many pages are open: close one");
    }
    if (url.pathname.startsWith("/api/")) {
      return answerApi(this.#options.api, { method: "GET", url, caller });
    }
    const assets = await this.#options.assets();
    if (!assets.ok) return failed(500, `the page's files are missing: ${assets.error}`);
    const asset = assets.value.get(url.pathname);
    return asset === undefined ? failed(404, "there is no such page") : { status: 200, asset };
  }

  /** POST with a token gives a link; the link gives the cookie. */
  async #login(message: IncomingMessage, url: URL): Promise<Answer> {
    const { client, namespace } = this.#options;
    if (!this.#sessions.admitAttempt()) return failed(429, "too many attempts to log in: wait a few seconds");
    if (message.method === "POST") {
      return loginAnswer({ client, namespace, sessions: this.#sessions }, message.headers);
    }
    const token = this.#sessions.open(url.searchParams.get("code") ?? "");
    if (token === undefined) return signInPage();
    return loginPage(cookie(message.headers.host, token, undefined));
  }
}

/** Cookies know no ports: two clusters on one machine must not share one. */
function cookieName(host: string | undefined): string {
  return `weft-dashboard-${/:(\d+)$/.exec(host ?? "")?.[1] ?? "80"}`;
}

function cookie(host: string | undefined, token: string, maxAgeSeconds: number | undefined): string {
  const age = maxAgeSeconds === undefined ? "" : `; Max-Age=${maxAgeSeconds}`;
  return `${cookieName(host)}=${token}; Path=/; HttpOnly; SameSite=Strict${age}`;
}

function failed(status: number, message: string): Answer {
  return { status, type: "application/json", body: JSON.stringify({ error: message }) };
}

function send(message: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (response.headersSent || response.destroyed) return;
  if ("asset" in answer) {
    sendAsset(message, response, answer.asset);
    return;
  }
  const retry = answer.status === 429 ? { "retry-after": "2" } : {};
  response.writeHead(answer.status, {
    ...SECURITY_HEADERS,
    ...retry,
    ...answer.headers,
    "content-type": answer.type,
    "cache-control": "no-store",
  });
  response.end(answer.body);
}

function sendAsset(
  { headers }: IncomingMessage,
  response: ServerResponse,
  asset: Extract<Answer, { asset: unknown }>["asset"],
): void {
  const common = {
    ...SECURITY_HEADERS,
    etag: asset.etag,
    vary: "accept-encoding, cookie",
    "cache-control": asset.isForever ? "private, max-age=31536000, immutable" : "private, no-cache",
  };
  if (headers["if-none-match"] === asset.etag) {
    response.writeHead(304, common);
    response.end();
    return;
  }
  const zipped = /\bgzip\b/.test(String(headers["accept-encoding"] ?? ""));
  const body = zipped ? asset.gzipped : asset.plain;
  response.writeHead(200, {
    ...common,
    "content-type": asset.type,
    "content-length": body.length,
    ...(zipped ? { "content-encoding": "gzip" } : {}),
  });
  response.end(body);
}
