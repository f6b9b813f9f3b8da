// The part of a request's body that is kept, for an upstream that is not there yet and for another try.

import { keep } from "../socket/inbox.ts";

/** What most requests have of it; nothing is ever put in. */
export const NO_BODY: Buffer[] = [];

export function addChunk(body: Buffer[], chunk: Buffer): Buffer[] {
  if (body === NO_BODY) return [keep(chunk)];
  body.push(keep(chunk));
  return body;
}
