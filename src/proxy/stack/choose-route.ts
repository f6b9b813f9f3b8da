// Which route a request takes, and why it takes none.

import type { RouteInput } from "../compile/match.ts";
import type { RouteTable, VirtualHostEntry } from "../compile/route.ts";
import { causeText } from "../compile/value.ts";
import { chooseWeighted, findHost, findRoute } from "../route/find.ts";
import type { HttpStream } from "./http-stream.ts";

export function chooseRoute(stream: HttpStream, table: RouteTable): void {
  const { head } = stream;
  const host = findHost(table, head.authority);
  const route = host === undefined ? undefined : findRoute(host, routeInput(stream));
  stream.route = route;
  stream.weighted =
    route?.action.kind === "forward" && route.action.target.kind === "weighted"
      ? chooseWeighted(route.action.target, head, stream.random())
      : undefined;
}

export function routeInput(stream: HttpStream): RouteInput {
  const { head } = stream;
  const { info } = stream.connection;
  const question = head.path.indexOf("?");
  return {
    head,
    path: question === -1 ? head.path : head.path.slice(0, question),
    query: question === -1 ? undefined : head.path.slice(question + 1),
    random: stream.random(),
    presented: info.certificatePresented,
    validated: info.peer !== undefined,
    notes: stream,
  };
}

/** For where none of its routes fits. */
export function virtualHostOf(stream: HttpStream): VirtualHostEntry | undefined {
  const table = stream.connection.runtime.routes();
  return table === undefined ? undefined : findHost(table, stream.head.authority);
}

export function noRouteCause(stream: HttpStream): string {
  const table = stream.connection.runtime.routes();
  if (table === undefined) return "no route configuration has arrived";
  const host = findHost(table, stream.head.authority);
  if (host === undefined) return `no virtual host of ${table.name} has the domain ${stream.head.authority}`;
  if (host.routes.length === 0 && host.cause !== undefined) return causeText(host.cause);
  return `no route of virtual host ${host.name} matches ${stream.head.method} ${stream.head.path}`;
}
