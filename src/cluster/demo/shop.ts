// What the demo knows about its shop: who is in it, who may call whom, and what its logs say.

import { isRecord, parseJson } from "../../base/json.ts";

export const NAMESPACE = "shop";
export const CALLERS = ["customers", "frontend", "api", "orders"] as const;
export const SERVICES = ["frontend", "api", "orders"] as const;
export type Caller = (typeof CALLERS)[number];
export type Service = (typeof SERVICES)[number];

const ALLOWED: Readonly<Record<Caller, Service | undefined>> = {
  customers: "frontend",
  frontend: "api",
  api: "orders",
  orders: undefined,
};

export function mayCall(from: Caller, to: Service): boolean {
  return ALLOWED[from] === to;
}

export interface ProbeRecord {
  readonly kind: "probe";
  readonly from: Caller;
  readonly to: Service;
  readonly status: number;
}

export interface LoadRecord {
  readonly kind: "load";
  readonly requests: number;
  readonly errors: number;
  readonly milliseconds: readonly number[];
  /** Answers by version; `beta:v2` for those who asked for it. */
  readonly versions: Readonly<Record<string, number>>;
  readonly lastError: string | undefined;
}

/** One line of a service's log; undefined for lines that say something else. */
export function readRecord(line: string): ProbeRecord | LoadRecord | undefined {
  const parsed = parseJson(line);
  if (!parsed.ok || !isRecord(parsed.value)) return undefined;
  const { kind, from, to, status, requests, errors, milliseconds, versions, lastError } = parsed.value;
  if (kind === "probe") {
    const caller = CALLERS.find((name) => name === from);
    const service = SERVICES.find((name) => name === to);
    if (caller === undefined || service === undefined || typeof status !== "number") return undefined;
    return { kind, from: caller, to: service, status };
  }
  if (kind !== "load" || typeof requests !== "number" || typeof errors !== "number") return undefined;
  return {
    kind,
    requests,
    errors,
    milliseconds: Array.isArray(milliseconds) ? milliseconds.filter((value) => typeof value === "number") : [],
    versions: isRecord(versions) ? counts(versions) : {},
    lastError: typeof lastError === "string" ? lastError : undefined,
  };
}

function counts(value: Readonly<Record<string, unknown>>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
  );
}
