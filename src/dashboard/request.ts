// What a request to the page's server must be before anything is answered: of this host, of this site, of a session.

import type { IncomingHttpHeaders } from "node:http";
import { isSame, type Session, type Sessions } from "./session.ts";

export interface Refused {
  readonly status: number;
  readonly message: string;
}

const LOOPBACK_NAMES = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** A name that somebody else's DNS leads here would let their page talk to this one. */
export function checkHost({ host }: IncomingHttpHeaders): Refused | undefined {
  const name = (host ?? "").replace(/:\d+$/, "");
  if (LOOPBACK_NAMES.has(name)) return undefined;
  return { status: 421, message: "this page is served at 127.0.0.1 and localhost only" };
}

/** What a page of another origin starts, in a browser that says so; a link that leads here is no harm. */
export function checkSite(method: string, headers: IncomingHttpHeaders): Refused | undefined {
  const site = headers["sec-fetch-site"];
  const isNavigation = method === "GET" && headers["sec-fetch-mode"] === "navigate";
  if (site === undefined || site === "same-origin" || site === "none" || isNavigation) return undefined;
  return { status: 403, message: "another site's page may not ask here" };
}

export interface Caller {
  readonly session: Session;
  readonly token: string;
}

export function readCaller(sessions: Sessions, headers: IncomingHttpHeaders, cookie: string): Caller | undefined {
  for (const part of (headers.cookie ?? "").split(";")) {
    const at = part.indexOf("=");
    if (at < 0 || part.slice(0, at).trim() !== cookie) continue;
    const token = part.slice(at + 1).trim();
    const session = sessions.find(token);
    if (session !== undefined) return { session, token };
  }
  return undefined;
}

/** Beside the session, a change needs the page's own origin and what only the page was told. */
export function checkOwnPage(headers: IncomingHttpHeaders, session: Session): Refused | undefined {
  const { origin, host } = headers;
  if (origin === undefined || origin !== `http://${host}`) {
    return { status: 403, message: "a change is taken from the page itself only" };
  }
  const token = headers["x-weft-csrf"];
  if (typeof token === "string" && isSame(token, session.csrf)) return undefined;
  return { status: 403, message: "the change does not carry the page's token: load the page again" };
}

export function checkMayChange({ mayChange }: Session): Refused | undefined {
  if (mayChange) return undefined;
  return { status: 403, message: 'this page may only look: open it with "weft dashboard --allow-changes"' };
}
