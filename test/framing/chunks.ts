// The chunked coding (RFC 9112, section 7.1).

import { broken, CHUNKED, EVIL, type FramingCase, served, unfinished } from "./case.ts";

const END = "0\r\n\r\n";
const SIZE = "a_bad_chunk_size";
const bad = (name: string, line: string, details = SIZE): FramingCase =>
  broken(name, `${CHUNKED}${line}x\r\n${END}${EVIL}`, details);
const good = (name: string, body: string, read: string): FramingCase =>
  served(name, CHUNKED + body, `POST /p a chunked:${read}`);

export const chunkCases: readonly FramingCase[] = [
  good("one chunk", `3\r\nabc\r\n${END}`, "abc"),
  good("several chunks", `1\r\na\r\n2\r\nbc\r\n${END}`, "abc"),
  good("a size in capitals", `A\r\n0123456789\r\n${END}`, "0123456789"),
  good("a size in small letters", `a\r\n0123456789\r\n${END}`, "0123456789"),
  good("a size with leading zeros", `0003\r\nabc\r\n${END}`, "abc"),
  good("a last chunk of many zeros", "3\r\nabc\r\n00000\r\n\r\n", "abc"),
  good("an extension", `3;a=b\r\nabc\r\n${END}`, "abc"),
  good("an extension without a value", `3;a\r\nabc\r\n${END}`, "abc"),
  good("a quoted extension", `3;a="b;c"\r\nabc\r\n${END}`, "abc"),
  good("several extensions", `3;a=b;c=d\r\nabc\r\n${END}`, "abc"),
  good("an extension on the last chunk", "3\r\nabc\r\n0;a=b\r\n\r\n", "abc"),
  good("a chunk that looks like the end", `5\r\n${END}\r\n${END}`, END),
  good("a chunk that looks like a request", `${EVIL.length.toString(16)}\r\n${EVIL}\r\n${END}`, EVIL),
  good("a chunk of CRLFs", `4\r\n\r\n\r\n\r\n${END}`, "\r\n\r\n"),
  good("64 zeros before the size", `${"0".repeat(64)}3\r\nabc\r\n${END}`, "abc"),
  bad("a size that is no number", "z\r\n"),
  bad("a size that ends in a letter", "1g\r\n"),
  bad("a negative size", "-1\r\n"),
  bad("a signed size", "+1\r\n"),
  bad("a size in 0x", "0x1\r\n"),
  bad("a size with an h", "1h\r\n"),
  bad("an empty size", "\r\n"),
  bad("an extension without a size", ";a=b\r\n"),
  bad("a space before the size", " 1\r\n"),
  bad("a tab before the size", "\t1\r\n"),
  bad("a space behind the size", "1 \r\n"),
  bad("a space inside the size", "1 0\r\n"),
  bad("a size in quotes", '"1"\r\n'),
  bad("an underscore in the size", "1_0\r\n"),
  bad("a size of 2^64", "10000000000000000\r\n"),
  bad("a size of 2^64 + 1, which wraps to 1", "10000000000000001\r\n"),
  bad("a size of 2^63", "8000000000000000\r\n"),
  bad("a size of 2^32 in 17 digits", "00000000100000000z\r\n"),
  bad("a size of forty digits", `${"f".repeat(40)}\r\n`),
  bad("a bare LF behind the size", "1\n"),
  bad("a bare CR behind the size", "1\r"),
  bad("two CRs behind the size", "1\r\r\n"),
  bad("a bare LF behind an extension", "1;a=b\n"),
  bad("a bare CR in an extension", "1;a=\rb\r\n"),
  bad("a NUL in an extension", "1;a=\0\r\n"),
  bad("a control character in an extension", "1;a=\x01\r\n"),
  bad("a NUL behind the size", "1\0\r\n"),
  bad("a comma behind the size", "1,2\r\n"),
  broken(
    "an extension beyond the limit",
    `${CHUNKED}1;${"a".repeat(5000)}\r\nx\r\n${END}`,
    "a_chunk_size_line_longer_than_the_limit",
  ),
  broken(
    "zeros beyond the limit",
    `${CHUNKED}${"0".repeat(5000)}1\r\nx\r\n${END}`,
    "a_chunk_size_line_longer_than_the_limit",
  ),
  broken("a chunk longer than its size", `${CHUNKED}1\r\nxyz\r\n${END}`, "a_chunk_that_is_longer_than_its_size"),
  broken("a chunk without a line end behind", `${CHUNKED}1\r\nx${END}`, "a_chunk_that_is_longer_than_its_size"),
  broken("a chunk that ends in a bare LF", `${CHUNKED}1\r\nx\n${END}`, "a_chunk_that_is_longer_than_its_size"),
  broken("a chunk that ends in a bare CR", `${CHUNKED}1\r\nx\r${END}`, "a_chunk_that_does_not_end_in_crlf"),
  broken("a chunk that ends in LF CR", `${CHUNKED}1\r\nx\n\r${END}`, "a_chunk_that_is_longer_than_its_size"),
  broken("a second chunk that is bad", `${CHUNKED}1\r\nx\r\nz\r\ny\r\n${END}`, SIZE),
  broken("no chunk at all", `${CHUNKED}abc=def`.concat("\r\n"), SIZE),
  broken("a request where a chunk should be", CHUNKED + EVIL, SIZE),
  unfinished("a chunk shorter than its size", `${CHUNKED}9\r\nabc`),
  unfinished("no last chunk", `${CHUNKED}3\r\nabc\r\n`),
  unfinished("a last chunk without its empty line", `${CHUNKED}3\r\nabc\r\n0\r\n`),
  unfinished("a last chunk and half a line end", `${CHUNKED}3\r\nabc\r\n0\r\n\r`),
  unfinished("half a size", `${CHUNKED}1`),
];
