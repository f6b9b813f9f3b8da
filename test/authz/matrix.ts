// The matrix of connections: each mode of mTLS by client, port and protocol, and what must come of it.

import type { SimCall } from "../sim/call.ts";
import { foreignTls, meshHttp, meshTcp, plainHttp, plainTcp } from "../sim/case.ts";

/** `refused`: closed, or answered that it is no HTTP. */
export type CellOutcome = "arrives" | "refused" | 403;

export interface Cell {
  readonly name: string;
  readonly call: SimCall;
  /** Whose certificate is shown where the call shows one. */
  readonly as: "peer" | "other" | "stranger";
  readonly wanted: CellOutcome;
}

export interface CellGroup {
  readonly name: string;
  readonly manifests: string;
  readonly cells: readonly Cell[];
}

/** The pod `ports`, and its ports by protocol. */
export const POD = "10.244.7.1";
const PORTS = { http: 8080, tcp: 7000, sniffed: 8502, unnamed: 9999 } as const;
type Kind = keyof typeof PORTS;
type Mode = "STRICT" | "PERMISSIVE" | "DISABLE";

const peer = (namespace: string, spec: object): string =>
  JSON.stringify({
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: { name: `p${JSON.stringify(spec).length}`, namespace },
    spec,
  });
const mtls = (mode: string) => ({ mtls: { mode } });
const own = (spec: object) => peer("production", { selector: { matchLabels: { app: "ports" } }, ...spec });

interface ModeRow {
  readonly name: string;
  readonly manifests: readonly string[];
  readonly mode: Mode;
  readonly byKind?: Partial<Record<Kind, Mode>>;
}

const MODES: readonly ModeRow[] = [
  { name: "nothing said", manifests: [], mode: "PERMISSIVE" },
  { name: "the mesh STRICT", manifests: [peer("istio-system", mtls("STRICT"))], mode: "STRICT" },
  { name: "the namespace STRICT", manifests: [peer("production", mtls("STRICT"))], mode: "STRICT" },
  {
    name: "the namespace DISABLE in a STRICT mesh",
    manifests: [peer("istio-system", mtls("STRICT")), peer("production", mtls("DISABLE"))],
    mode: "DISABLE",
  },
  {
    name: "the workload STRICT in a namespace DISABLE",
    manifests: [peer("production", mtls("DISABLE")), own(mtls("STRICT"))],
    mode: "STRICT",
  },
  {
    name: "the workload PERMISSIVE in a namespace STRICT",
    manifests: [peer("production", mtls("STRICT")), own(mtls("PERMISSIVE"))],
    mode: "PERMISSIVE",
  },
  {
    name: "the workload UNSET in a namespace STRICT",
    manifests: [peer("production", mtls("STRICT")), own(mtls("UNSET"))],
    mode: "STRICT",
  },
  {
    name: "ports of their own in a PERMISSIVE workload",
    manifests: [
      own({
        ...mtls("PERMISSIVE"),
        portLevelMtls: { "8080": { mode: "STRICT" }, "7000": { mode: "DISABLE" }, "9999": { mode: "STRICT" } },
      }),
    ],
    mode: "PERMISSIVE",
    byKind: { http: "STRICT", tcp: "DISABLE", unnamed: "STRICT" },
  },
  {
    name: "ports of their own in a STRICT workload",
    manifests: [
      own({
        ...mtls("STRICT"),
        portLevelMtls: { "8080": { mode: "PERMISSIVE" }, "8502": { mode: "DISABLE" }, "7000": { mode: "UNSET" } },
      }),
    ],
    mode: "STRICT",
    byKind: { http: "PERMISSIVE", sniffed: "DISABLE" },
  },
];

type Client = "mesh http" | "mesh tcp" | "plain http" | "plain tcp" | "foreign tls" | "other ca" | "no certificate";

function callOf(client: Client, to: string): { readonly call: SimCall; readonly as: Cell["as"] } {
  switch (client) {
    case "mesh http":
      return { call: meshHttp(to), as: "peer" };
    case "mesh tcp":
      return { call: meshTcp(to), as: "peer" };
    case "plain http":
      return { call: plainHttp(to), as: "peer" };
    case "plain tcp":
      return { call: plainTcp(to), as: "peer" };
    case "foreign tls":
      return { call: foreignTls(to), as: "peer" };
    case "other ca":
      return { call: meshTcp(to), as: "stranger" };
    case "no certificate":
      return { call: { ...meshTcp(to), tls: { alpn: ["istio"] } }, as: "peer" };
  }
}

const CLIENTS = [
  "mesh http",
  "mesh tcp",
  "plain http",
  "plain tcp",
  "foreign tls",
  "other ca",
  "no certificate",
] as const;

/** Under a mode, on a port of a kind. */
function arrives(client: Client, mode: Mode, kind: Kind): boolean {
  // TLS belongs to the application: an HTTP port expects none.
  if (mode === "DISABLE") return kind !== "http" || client === "plain http";
  switch (client) {
    case "mesh http":
      return true;
    case "mesh tcp":
      return kind !== "http";
    case "plain http":
    case "foreign tls":
      return mode === "PERMISSIVE";
    case "plain tcp":
      return mode === "PERMISSIVE" && kind !== "http";
    case "other ca":
    case "no certificate":
      return false;
  }
}

const KINDS: readonly Kind[] = ["http", "tcp", "sniffed", "unnamed"];

export const modeGroups: readonly CellGroup[] = MODES.map(({ name, manifests, mode, byKind }) => ({
  name,
  manifests: manifests.join("\n---\n"),
  cells: KINDS.flatMap((kind) =>
    CLIENTS.map((client): Cell => {
      const held = arrives(client, byKind?.[kind] ?? mode, kind);
      return {
        name: `${client} to ${kind}`,
        ...callOf(client, `${POD}:${PORTS[kind]}`),
        wanted: held ? "arrives" : "refused",
      };
    }),
  ),
}));
