// Where the picture goes: redrawn in place on a terminal, one line now and then elsewhere.

import { stripVTControlCharacters, styleText } from "node:util";
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
    const [columns, rows] = this.#stream.getWindowSize();
    const fitting = inRoom(lines, { columns, rows });
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

/**
 * As many lines as have room, the empty ones first left out. A line that is too wide goes on in the next row, so that a
 * command can still be copied from it whole: it counts as the rows that it takes.
 */
export function inRoom(
  lines: readonly string[],
  { columns, rows }: { readonly columns: number; readonly rows: number },
): readonly string[] {
  const room = Math.max(1, rows - 1);
  const rowsOf = (line: string): number =>
    Math.max(1, Math.ceil(stripVTControlCharacters(line).length / Math.max(1, columns)));
  const all = lines.reduce((sum, line) => sum + rowsOf(line), 0);
  const dense = all <= room ? lines : lines.filter((line) => line !== "");
  let taken = 0;
  return dense.filter((line, index) => {
    taken += rowsOf(line);
    return index === 0 || taken <= room;
  });
}
