// Logging in: a token of one of two service accounts becomes a link, which opens a session once.

import type { IncomingHttpHeaders } from "node:http";
import type { KubeClient } from "../api/client.ts";
import type { Answer } from "./api.ts";
import type { Sessions } from "./session.ts";

export const LOGIN_PATH = "/login";
/** What a token must be made for. */
export const DASHBOARD_AUDIENCE = "weft-dashboard";
/** Who may make tokens of these, by the cluster's own rules, may look and may change. */
export const VIEWER_ACCOUNT = "weft-dashboard-viewer";
export const EDITOR_ACCOUNT = "weft-dashboard-editor";

interface LoginContext {
  readonly client: Pick<KubeClient, "reviewToken">;
  readonly namespace: string;
  readonly sessions: Sessions;
}

export async function loginAnswer(context: LoginContext, headers: IncomingHttpHeaders): Promise<Answer> {
  const token = /^Bearer (\S+)$/i.exec(headers.authorization ?? "")?.[1];
  const review = token === undefined ? undefined : await context.client.reviewToken(token, DASHBOARD_AUDIENCE);
  if (review?.ok !== true) return json(401, { error: "the credential was refused" });
  const { namespace, serviceAccount } = review.value;
  if (namespace !== context.namespace || (serviceAccount !== VIEWER_ACCOUNT && serviceAccount !== EDITOR_ACCOUNT)) {
    return json(403, { error: `service account ${namespace}/${serviceAccount} may not open this page` });
  }
  const { code, seconds } = context.sessions.makeCode(serviceAccount === EDITOR_ACCOUNT);
  return json(200, { path: `${LOGIN_PATH}?code=${code}`, seconds });
}

/** A page rather than a redirect: after a link on another site, a redirect would not carry a strict cookie. */
export function loginPage(cookie: string): Answer {
  const body = page(
    '<link rel="icon" href="/icon.svg"><meta http-equiv="refresh" content="0;url=/">',
    '<p>Logged in. <a href="/">Open the page</a></p>',
  );
  return { status: 200, type: "text/html; charset=utf-8", body, headers: { "set-cookie": cookie } };
}

export function signInPage(): Answer {
  const body = page(
    "",
    "<h1>weft</h1><p>This page needs a session. Run</p><pre>weft dashboard</pre><p>and open the link that it prints. " +
      "It is good once, and for two minutes.</p>",
  );
  return { status: 401, type: "text/html; charset=utf-8", body };
}

function page(head: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>weft</title><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">${head}</head><body>${body}</body></html>\n`;
}

function json(status: number, body: object): Answer {
  return { status, type: "application/json", body: JSON.stringify(body) };
}
