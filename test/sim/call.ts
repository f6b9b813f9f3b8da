// A call as it leaves an application or arrives at a pod, and what becomes of it.

export interface HttpCall {
  readonly method?: string;
  /** The Host header. */
  readonly host: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface SimCall {
  /** Led to the proxy by the firewall, from the pod or to it; or made to the proxy itself (explicit mode). */
  readonly direction: "outbound" | "inbound" | "direct";
  /** `10.96.0.8:80`: where it was going before the firewall turned it. */
  readonly to: string;
  readonly from?: string;
  readonly tls?: {
    readonly sni?: string;
    readonly alpn?: readonly string[];
    /** Has a certificate of the mesh. */
    readonly mesh?: boolean;
  };
  /** Absent: bytes that aren't HTTP. */
  readonly http?: HttpCall;
}

export interface Outcome {
  readonly listener?: string;
  readonly chain?: string;
  /** The caller's TLS is the proxy's own to end. */
  readonly endsTls?: boolean;
  readonly virtualHost?: string;
  readonly route?: string;
  /** Of the resource that the route or chain was made from. */
  readonly rule?: string;
  readonly cluster?: string;
  /** Several, with their weights. */
  readonly clusters?: Readonly<Record<string, number>>;
  /** Where it can arrive, and how: `10.244.1.1:8080 mesh`. */
  readonly hosts?: readonly string[];
  /** What the server is asked for. */
  readonly path?: string;
  readonly authority?: string;
  /** Of the TLS towards the server. */
  readonly sni?: string;
  readonly mirrors?: readonly string[];
  /** What the proxy itself answers. */
  readonly status?: number;
  readonly location?: string;
  readonly body?: string;
  /** Why it doesn't arrive. */
  readonly error?: string;
}
