// The framing corpus: every case has a theme and a name of its own.

import type { FramingCase } from "./case.ts";
import { chunkCases } from "./chunks.ts";
import { codingCases } from "./codings.ts";
import { connectionCases } from "./connections.ts";
import { lengthCases } from "./lengths.ts";
import { lineCases } from "./lines.ts";
import { pipelineCases } from "./pipelines.ts";
import { responseCases } from "./responses.ts";
import { targetCases } from "./targets.ts";
import { trailerCases } from "./trailers.ts";

export const framingCases: Readonly<Record<string, readonly FramingCase[]>> = {
  lengths: lengthCases,
  codings: codingCases,
  chunks: chunkCases,
  trailers: trailerCases,
  lines: lineCases,
  targets: targetCases,
  connections: connectionCases,
  pipelines: pipelineCases,
  responses: responseCases,
};
