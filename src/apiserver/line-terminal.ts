// What `kubectl exec -t` gets where there is no real terminal to be had: lines with echo, and Ctrl-C and Ctrl-D.

export const LINE_TERMINAL_NOTE =
  "weft: no terminal on this system: input goes line by line, Ctrl-D ends it, Ctrl-C ends the command\r\n";

const LINE_BYTES_MAX = 64 * 1024;
const KEY = {
  interrupt: 0x03,
  end: 0x04,
  backspace: 0x08,
  lineFeed: 0x0a,
  carriageReturn: 0x0d,
  delete: 0x7f,
} as const;

export interface LineOutput {
  /** What the person typed, back to them. */
  echo(text: string): void;
  /** A whole line for the command. */
  line(bytes: Buffer): void;
  end(): void;
  interrupt(): void;
}

/** Collects keys into lines, as a terminal in cooked mode does. */
export class LineInput {
  readonly #output: LineOutput;
  #line: number[] = [];

  constructor(output: LineOutput) {
    this.#output = output;
  }

  keys(bytes: Uint8Array): void {
    for (const byte of bytes) this.#key(byte);
  }

  #key(byte: number): void {
    switch (byte) {
      case KEY.interrupt:
        this.#output.echo("^C\r\n");
        this.#output.interrupt();
        return;
      case KEY.end:
        if (this.#line.length > 0) this.#flush([]);
        else this.#output.end();
        return;
      case KEY.backspace:
      case KEY.delete:
        if (this.#line.pop() !== undefined) this.#output.echo("\b \b");
        return;
      case KEY.carriageReturn:
      case KEY.lineFeed:
        this.#output.echo("\r\n");
        this.#flush([KEY.lineFeed]);
        return;
      default:
        if (this.#line.length >= LINE_BYTES_MAX) return;
        this.#line.push(byte);
        this.#output.echo(Buffer.from([byte]).toString("latin1"));
    }
  }

  #flush(ending: readonly number[]): void {
    this.#output.line(Buffer.from([...this.#line, ...ending]));
    this.#line = [];
  }
}

/** A terminal in raw mode needs both: the line feed alone would make a staircase. */
export function withCarriageReturns(chunk: Buffer): Buffer {
  return Buffer.from(chunk.toString("latin1").replaceAll(/\r?\n/g, "\r\n"), "latin1");
}
