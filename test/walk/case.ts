// What a case of the table is.

import type { ListenerName } from "./listeners.ts";

export type Json = Readonly<Record<string, unknown>>;

export interface Call {
  readonly method?: string;
  readonly path?: string;
  /** `host` is the case's domain unless given. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** These bytes instead of what the fields above make; the answer is what came until the peer closed or was silent. */
  readonly raw?: string;
  /** Of the line in the access log, where it is not the Host header of the call. */
  readonly authority?: string;
}

export interface Expected {
  readonly status: number;
  /** Of the reason phrase. */
  readonly reason?: string;
  /** The answer as it came over the wire, where the call is raw. */
  readonly wire?: RegExp;
  readonly body?: string | RegExp;
  /** Of the response; null: must be absent. */
  readonly headers?: Readonly<Record<string, string | RegExp | null>>;
  /** What the origin saw; null: it must not have been asked. */
  readonly origin?: {
    readonly method?: string;
    readonly path?: string;
    readonly headers?: Readonly<Record<string, string | RegExp | null>>;
    readonly body?: string;
    /** How often it was asked. */
    readonly times?: number;
  } | null;
  /** `%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %ROUTE_NAME%` of the access log, or what the case's format says. Null: there is no line. */
  readonly log?: string | RegExp | null;
  /** Counters, where nothing but this case counts in them: those of `http.NAME.` where it has filters of its own. */
  readonly stats?: Readonly<Record<string, number>>;
}

export interface WalkCase {
  readonly name: string;
  /** Routes of the case's virtual host, in protobuf JSON. */
  readonly routes: readonly Json[];
  /** More fields of the virtual host. */
  readonly host?: Json;
  /** Domains instead of the case's own. */
  readonly domains?: readonly string[];
  /** Which connection manager it goes through: `mesh` unless given. */
  readonly listener?: ListenerName;
  /** A connection manager of the case's own, with these filters before the router. */
  readonly filters?: readonly Json[];
  /** A connection manager of the case's own, with these fields. */
  readonly manager?: Json;
  /** A connection manager of the case's own, whose access log has this filter, or this format behind the authority and a space. */
  readonly logFilter?: Json;
  readonly logFormat?: Json;
  /** Made first, one after the other; nothing is asked of their answers. */
  readonly before?: readonly Call[];
  readonly call: Call;
  readonly expect: Expected;
  /** Why Envoy's answer is another one. */
  readonly differs?: string;
}
