// Routes in protobuf JSON, in few words.

import type { Json } from "./case.ts";

export const TYPE = "type.googleapis.com/envoy.extensions";

/** A route that leads to the origin. */
export function toOrigin(match: Json, more: Json = {}, around: Json = {}): Json {
  return { match, route: { cluster: "origin", ...more }, ...around };
}

/** A route that answers by itself, to see which one was taken. */
export function says(match: Json, text: string): Json {
  return { match, directResponse: { status: 200, body: { inlineString: text } } };
}
