// A terminal of the kernel's (a pty): the command has one end, whoever looks and types has the other.

import { closeSync, constants, openSync } from "node:fs";
import { PassThrough, type Readable, Writable } from "node:stream";
import { ReadStream } from "node:tty";

export interface Terminal {
  /** The command's end, as a file descriptor; closed once the command has it. */
  readonly device: number;
  readonly input: Writable;
  /** Ends when the last process has closed its end. */
  readonly output: Readable;
  resize(columns: number, rows: number): void;
  closeDevice(): void;
  close(): void;
}

/** Requests of ioctl, from the kernel's tty headers; the same on every 64-bit Linux that weft runs on. */
const IOCTL = { unlock: 0x40045431, number: 0x80045430, setSize: 0x5414 } as const;

type Ioctl = (descriptor: number, request: number, argument: Buffer) => number;

/** Undefined where there is none to be had: on systems other than Linux. */
export async function openTerminal(): Promise<Terminal | undefined> {
  if (process.platform !== "linux") return undefined;
  const { default: koffi } = await import("koffi");
  const ioctl: Ioctl = koffi.load(null).func("int ioctl(int fd, unsigned long request, _Inout_ uint8_t *argument)");
  const flags = constants.O_RDWR | constants.O_NOCTTY;
  const master = openSync("/dev/ptmx", flags);
  const number = Buffer.alloc(4);
  if (ioctl(master, IOCTL.unlock, Buffer.alloc(4)) !== 0 || ioctl(master, IOCTL.number, number) !== 0) {
    closeSync(master);
    return undefined;
  }
  const device = openSync(`/dev/pts/${number.readUInt32LE()}`, flags);
  return makeTerminal(master, device, ioctl);
}

function makeTerminal(master: number, device: number, ioctl: Ioctl): Terminal {
  const stream = new ReadStream(master);
  const output = new PassThrough();
  let isOpen = true;
  const finish = (): void => {
    isOpen = false;
    output.end();
  };
  stream.on("data", (chunk: Buffer) => {
    if (!output.write(chunk)) stream.pause();
  });
  output.on("drain", () => stream.resume());
  // With the last process gone, reading ends with an error of the device: that is the end, not a fault.
  stream.on("error", finish);
  stream.on("close", finish);
  const input = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (isOpen) stream.write(chunk, () => done());
      else done();
    },
    // There is no half-closed terminal: who types no more says so with the key for it.
    final: (done) => {
      if (isOpen) stream.write(END_KEY, () => done());
      else done();
    },
  });
  let hasDevice = true;
  const closeDevice = (): void => {
    if (hasDevice) closeSync(device);
    hasDevice = false;
  };
  return {
    device,
    input,
    output,
    resize: (columns, rows) => {
      const size = Buffer.alloc(8);
      size.writeUInt16LE(rows, 0);
      size.writeUInt16LE(columns, 2);
      if (isOpen) ioctl(master, IOCTL.setSize, size);
    },
    closeDevice,
    close: () => {
      closeDevice();
      stream.destroy();
    },
  };
}

const END_KEY = Buffer.from([0x04]);
