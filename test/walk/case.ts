// What a case of the table is.

export type Json = Readonly<Record<string, unknown>>;

export interface Call {
  readonly method?: string;
  readonly path?: string;
  /** `host` is the case's domain unless given. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Expected {
  readonly status: number;
  readonly body?: string | RegExp;
  /** Of the response; null: must be absent. */
  readonly headers?: Readonly<Record<string, string | RegExp | null>>;
  /** What the origin saw; null: it must not have been asked. */
  readonly origin?: {
    readonly method?: string;
    readonly path?: string;
    readonly headers?: Readonly<Record<string, string | RegExp | null>>;
  } | null;
  /** `%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %ROUTE_NAME%` of the access log. */
  readonly log?: string | RegExp;
}

export interface WalkCase {
  readonly name: string;
  /** Routes of the case's virtual host, in protobuf JSON. */
  readonly routes: readonly Json[];
  /** More fields of the virtual host. */
  readonly host?: Json;
  /** Domains instead of the case's own. */
  readonly domains?: readonly string[];
  /** `edge`: a connection manager that trusts nobody and cleans paths and names. */
  readonly listener?: "mesh" | "edge";
  readonly call: Call;
  readonly expect: Expected;
  /** Why Envoy's answer is another one. */
  readonly differs?: string;
}
