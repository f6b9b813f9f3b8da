// A locally generated answer as local_reply_config wants it.

import { HeaderList } from "../codec/headers.ts";
import type { ReplyConfig } from "../compile/local-reply.ts";
import { applyMutations } from "../compile/mutation.ts";
import type { HttpStream } from "./http-stream.ts";
import type { LocalReply } from "./rescue.ts";
import { localHead } from "./response.ts";

export function rewriteReply(stream: HttpStream, reply: LocalReply, config: ReplyConfig): LocalReply {
  const recordOf = (one: LocalReply) => stream.record({ response: localHead(stream, one), localReplyBody: one.body });
  const first = recordOf(reply);
  const mapper = config.mappers.find((one) => one.accepts(first));
  const status = mapper?.status ?? reply.status;
  const headers = new HeaderList([...reply.headers]);
  const mapped = { ...reply, status, body: mapper?.body ?? reply.body };
  if (mapper !== undefined) applyMutations(mapper.mutations, headers, undefined, () => recordOf(mapped));
  const format = mapper?.format ?? config.format;
  const body = format === undefined ? mapped.body : format.write(recordOf(mapped));
  if (body !== "") headers.set("content-type", format?.contentType ?? "text/plain");
  return { ...mapped, body, headers: headers.raw };
}
