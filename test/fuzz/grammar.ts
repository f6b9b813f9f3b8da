// HTTP/1.1 requests by a grammar, then spoiled: in numbers, line ends, names, values, codings, order and single bytes.

import type { Random } from "../../src/base/random.ts";

interface Draft {
  method: string;
  target: string;
  version: string;
  lines: string[];
  body: string;
}

const METHODS = ["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"];
const TARGETS = ["/", "/a", "/a/b?c=d", "/%41", "http://b/x", "http://b", "*", "/a//b/../c", "/?q=a:b"];
const LINES = [
  "X: y",
  "X:",
  "Accept: */*",
  "Cookie: a=b; c=d",
  "Connection: keep-alive",
  "Connection: close",
  "Connection: X",
  "Keep-Alive: timeout=5",
  "TE: trailers",
  "Expect: 100-continue",
  "Upgrade: h2c",
  "User-Agent: fuzz",
  "X-Y: \t z \t",
];
const BODIES = ["", "a", "abc", "hello world", "0\r\n\r\n", "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\n"];
const CODINGS = [
  "chunked",
  "Chunked",
  " chunked",
  "chunked ",
  "chunked, chunked",
  "gzip, chunked",
  "chunked, gzip",
  "identity",
  "xchunked",
  '"chunked"',
  "chunked;a=b",
  ",chunked",
  "\tchunked",
  "\x0bchunked",
  "",
];
const LENGTHS = [
  "0",
  "1",
  "3",
  "5",
  "03",
  "+3",
  "-3",
  "3 ",
  " 3",
  "3,3",
  "3;",
  "0x3",
  "3e0",
  "3.0",
  "",
  "99999999999",
  "18446744073709551619",
];
const SIZES = [
  "0",
  "1",
  "3",
  "a",
  "A",
  "03",
  "+3",
  "-3",
  "3 ",
  " 3",
  "0x3",
  "3;a",
  "3;a=b",
  '3;a="b"',
  "",
  "ffffffffffffffff",
  "10000000000000003",
  "g",
];
const ENDS = ["\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\r\n", "", " \r\n", "\0\r\n"];
const BYTES = [
  "\0",
  "\t",
  "\n",
  "\r",
  " ",
  ":",
  ";",
  ",",
  '"',
  "\x0b",
  "\x7f",
  "\x80",
  "\xff",
  "(",
  "/",
  "\\",
  "0",
  "1",
  "a",
  "_",
];

export function makeMessage(random: Random): string {
  const draft: Draft = {
    method: pick(random, METHODS),
    target: pick(random, TARGETS),
    version: "HTTP/1.1",
    lines: ["Host: a", ...some(random, LINES, 3)],
    body: "",
  };
  frame(draft, random);
  const spoils = Math.floor(random() * 4);
  for (let count = 0; count < spoils; count += 1) pick(random, SPOIL_DRAFT)(draft, random);
  let text = write(draft, random);
  if (random() < 0.5) text = pick(random, SPOIL_TEXT)(text, random);
  return text;
}

function frame(draft: Draft, random: Random): void {
  const body = pick(random, BODIES);
  const how = random();
  if (how < 0.3) return;
  if (how < 0.6) {
    draft.lines.push(`Content-Length: ${body.length}`);
    draft.body = body;
    return;
  }
  draft.lines.push("Transfer-Encoding: chunked");
  draft.body = chunks(body, random);
}

function chunks(body: string, random: Random): string {
  const cut = Math.floor(random() * body.length);
  let text = "";
  for (const part of [body.slice(0, cut), body.slice(cut)]) {
    if (part !== "") text += `${part.length.toString(16)}${random() < 0.1 ? ";x=y" : ""}\r\n${part}\r\n`;
  }
  return `${text}0\r\n${random() < 0.2 ? "X-T: 1\r\n" : ""}\r\n`;
}

function write(draft: Draft, random: Random): string {
  const end = () => (random() < 0.02 ? pick(random, ENDS) : "\r\n");
  let text = `${draft.method} ${draft.target} ${draft.version}${end()}`;
  for (const line of draft.lines) text += line + end();
  return text + end() + draft.body;
}

const SPOIL_DRAFT: readonly ((draft: Draft, random: Random) => void)[] = [
  (draft, random) => insertLine(draft, random, `Content-Length: ${pick(random, LENGTHS)}`),
  (draft, random) => insertLine(draft, random, `Transfer-Encoding: ${pick(random, CODINGS)}`),
  (draft, random) => insertLine(draft, random, pick(random, draft.lines)),
  (draft, random) => insertLine(draft, random, `Host: ${pick(random, ["a", "b", "", "a b", "a:80", "u@a", "[::1]"])}`),
  (draft, random) => insertLine(draft, random, ` ${pick(random, draft.lines)}`),
  (draft, random) =>
    changeLine(draft, random, (line) => line.replace(":", pick(random, [" :", "\t:", "::", "", ";", ":\t", "\0:"]))),
  (draft, random) => changeLine(draft, random, (line) => line.toUpperCase()),
  (draft, random) => changeLine(draft, random, (line) => line.replace("-", "_")),
  (draft, random) =>
    changeLine(draft, random, (line) => line.replace(/(?<=: ).*/, (value) => value + pick(random, BYTES))),
  (draft, random) => changeLine(draft, random, (line) => line.replace(": ", `:${pick(random, ENDS)}`)),
  (draft, random) => {
    if (draft.lines.length > 1) draft.lines.splice(Math.floor(random() * draft.lines.length), 1);
  },
  (draft, random) => {
    draft.lines.reverse();
    draft.version = pick(random, [
      "HTTP/1.1",
      "HTTP/1.1",
      "HTTP/1.0",
      "HTTP/1.2",
      "HTTP/2.0",
      "http/1.1",
      "HTTP/1.1 ",
      "HTTP/1",
      "",
    ]);
  },
  (draft, random) => {
    draft.method = pick(random, [...METHODS, "get", "BREW", "G ET", "", "PROPFIND", "GET\t"]);
  },
  (draft, random) => {
    draft.target = pick(random, [
      ...TARGETS,
      "",
      "a",
      "/a b",
      "/\xe9",
      "/#f",
      "//",
      "http://",
      "http://u@b/",
      "b:80",
      "/\0",
    ]);
  },
  (draft, random) => {
    draft.body = draft.body.replace(/[0-9a-f]+(?=\r\n)/, () => pick(random, SIZES));
  },
  (draft, random) => {
    draft.body = draft.body.replace("\r\n", () => pick(random, ENDS));
  },
  (draft, random) => {
    draft.body += pick(random, BODIES);
  },
  (draft, random) => {
    draft.body = draft.body.slice(0, Math.floor(random() * draft.body.length));
  },
];

const SPOIL_TEXT: readonly ((text: string, random: Random) => string)[] = [
  (text, random) => at(text, random, (before, after) => before + pick(random, BYTES) + after),
  (text, random) => at(text, random, (before, after) => before + after.slice(1)),
  (text, random) => at(text, random, (before, after) => before + pick(random, BYTES) + after.slice(1)),
  (text, random) => at(text, random, (before, after) => before + pick(random, ENDS) + after),
  (text) => `\r\n${text}`,
  (text, random) => text + pick(random, ENDS),
  (text) => text.replace("\r\n\r\n", "\r\n"),
];

function at(text: string, random: Random, join: (before: string, after: string) => string): string {
  const place = Math.floor(random() * text.length);
  return join(text.slice(0, place), text.slice(place));
}

function insertLine(draft: Draft, random: Random, line: string): void {
  draft.lines.splice(Math.floor(random() * (draft.lines.length + 1)), 0, line);
}

function changeLine(draft: Draft, random: Random, change: (line: string) => string): void {
  const place = Math.floor(random() * draft.lines.length);
  const line = draft.lines[place];
  if (line !== undefined) draft.lines[place] = change(line);
}

function some<Item>(random: Random, items: readonly Item[], max: number): readonly Item[] {
  return Array.from({ length: Math.floor(random() * (max + 1)) }, () => pick(random, items));
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}
