// A request that a filter keeps: for a time, until an answer from elsewhere is there, or until its body is.

import type { Verdict } from "../filters/filter.ts";
import { BUFFERED_BODY_BYTES_MAX } from "../limits.ts";
import type { HttpStream } from "./http-stream.ts";
import { tooLarge } from "./rescue.ts";

type Held = Exclude<Verdict, undefined | { readonly kind: "reply" }>;

export class Hold {
  readonly #stream: HttpStream;
  readonly #verdict: Held;
  readonly #resume: (after: Verdict) => void;
  #cancel: (() => void) | undefined;
  #over = false;

  /** `resume` is called once, at the earliest while `start` runs. */
  constructor(stream: HttpStream, verdict: Held, resume: (after: Verdict) => void) {
    this.#stream = stream;
    this.#verdict = verdict;
    this.#resume = resume;
  }

  /** How much of the body may wait meanwhile. */
  get bytesMax(): number {
    return this.#verdict.kind === "body" ? this.#verdict.bytesMax : BUFFERED_BODY_BYTES_MAX;
  }

  start(): void {
    const verdict = this.#verdict;
    switch (verdict.kind) {
      case "delay": {
        const timer = this.#stream.connection.runtime.core.clock.after(verdict.ms, () => this.#done(verdict.after()));
        this.#cancel = () => timer.cancel();
        return;
      }
      case "wait": {
        const cancel = verdict.start((after) => this.#done(after));
        if (!this.#over) this.#cancel = cancel;
        return;
      }
      case "body":
        this.onBody();
    }
  }

  /** More of the body has come, or its end. */
  onBody(): void {
    const verdict = this.#verdict;
    if (verdict.kind !== "body" || this.#over) return;
    const { bufferedBytes, buffered, requestEnded } = this.#stream;
    if (bufferedBytes > verdict.bytesMax && !verdict.partial) {
      this.#done({ kind: "reply", ...tooLarge() });
    } else if (requestEnded || (verdict.partial && bufferedBytes >= verdict.bytesMax)) {
      const body = Buffer.concat(buffered);
      this.#done(verdict.onBody(body.subarray(0, verdict.bytesMax), requestEnded && body.length <= verdict.bytesMax));
    }
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancel?.();
  }

  #done(after: Verdict): void {
    if (this.#over) return;
    this.#over = true;
    this.#resume(after);
    this.#stream.flushDownstream();
  }
}
