// Where an application beside a proxy is, as Sidecar and Gateway write it: an address of the pod's own, or a unix socket.

import { errorIssue, type Issue } from "../issue.ts";
import { quote } from "./rules.ts";

const UNIX = "unix://";

export function isUnix(text: string): boolean {
  return text.startsWith(UNIX);
}

/** An absolute path, or `@name` for a socket without a file. */
export function isSocketPath(text: string): boolean {
  return /^(\/|@)./.test(text.slice(UNIX.length));
}

/** Empty: none. */
export function checkDefaultEndpoint(text: string, path: string): readonly Issue[] {
  if (text === "" || isEndpoint(text)) return [];
  const forms = "127.0.0.1:<port>, 0.0.0.0:<port>, [::1]:<port>, [::]:<port>, unix://filepath or unset";
  return [errorIssue(path, `${quote(text)} must be of form ${forms}`)];
}

function isEndpoint(text: string): boolean {
  if (isUnix(text)) return isSocketPath(text);
  const port = /^(?:127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]):(\d{1,5})$/.exec(text)?.[1];
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}
