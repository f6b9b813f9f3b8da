// Where the picture goes: redrawn in place on a terminal, one line now and then elsewhere.

import { styleText } from "node:util";
import type { Paint } from "./view.ts";

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const END_OF_LINE = "\x1b[K";
const END_OF_SCREEN = "\x1b[J";

export class Screen {
  readonly #stream: NodeJS.WriteStream;
  #open = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  readonly paint: Paint = (colour, text) => styleText(colour, text, { stream: this.#stream, validateStream: true });

  /** The size is asked for anew: in a process group of its own, no signal tells of a change. */
  draw(lines: readonly string[]): void {
    const [, rows] = this.#stream.getWindowSize();
    const dense = lines.length < rows ? lines : lines.filter((line) => line !== "");
    const fitting = dense.slice(0, Math.max(1, rows - 1));
    const head = this.#open ? HOME : `${ENTER}${HOME}`;
    this.#open = true;
    this.#stream.write(`${head}${fitting.map((line) => `${line}${END_OF_LINE}\n`).join("")}${END_OF_SCREEN}`);
  }

  /** Gives the terminal back; safe to call twice. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#stream.write(LEAVE);
  }
}
