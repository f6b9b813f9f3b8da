// What a good token leaves on a request: its claims as headers and as metadata.

import { isRecord } from "../../base/json.ts";
import type { HeaderList } from "../codec/headers.ts";
import type { JwtProviderConfig } from "../compile/jwt.ts";
import { valueAt } from "../compile/matcher.ts";
import type { Struct } from "./filter.ts";
import type { Token } from "./jwt-token.ts";

export interface Applied {
  readonly metadata: Struct | undefined;
  readonly addedHeader: boolean;
}

export function applyToken(token: Token, provider: JwtProviderConfig, headers: HeaderList): Applied {
  if (provider.payloadHeader !== "") {
    const { payloadPart } = token;
    const padding = provider.padPayload ? "=".repeat((4 - (payloadPart.length % 4)) % 4) : "";
    headers.add(provider.payloadHeader, payloadPart + padding);
  }
  let addedHeader = false;
  for (const { header, path } of provider.claimHeaders) {
    const text = claimText(valueAt(token.payload, path));
    if (text === undefined) continue;
    headers.add(header, text);
    addedHeader = true;
  }
  const metadata: Record<string, unknown> = {};
  if (provider.payloadKey !== "") metadata[provider.payloadKey] = normalized(token.payload, provider.spaceDelimited);
  if (provider.headerKey !== "") metadata[provider.headerKey] = token.header;
  return { metadata: Object.keys(metadata).length === 0 ? undefined : metadata, addedHeader };
}

/** Lists and objects go as their JSON in base64url. What can't stand in a header is left out. */
function claimText(value: unknown): string | undefined {
  if (Array.isArray(value) || isRecord(value)) return Buffer.from(JSON.stringify(value)).toString("base64url");
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return undefined;
  const text = String(value);
  // Bytes of UTF-8, one character each, as headers are held.
  return /[\0\r\n]/.test(text) ? undefined : Buffer.from(text, "utf8").toString("latin1");
}

function normalized(payload: Struct, spaceDelimited: readonly string[]): Struct {
  if (spaceDelimited.length === 0) return payload;
  const out: Record<string, unknown> = { ...payload };
  for (const claim of spaceDelimited) {
    const value = payload[claim];
    if (typeof value === "string") out[claim] = value.split(" ").filter((one) => one !== "");
  }
  return out;
}
