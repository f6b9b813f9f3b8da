// Content-Length (RFC 9110, section 8.6; RFC 9112, section 6.3).

import { broken, EVIL, type FramingCase, get, post, refused, served, servedLast, unfinished } from "./case.ts";

const NOT_A_NUMBER = "content_length_is_not_a_number";
const TWICE = "more_than_one_content_length";
const bad = (name: string, value: string, body = "x"): FramingCase =>
  refused(name, post(`Content-Length:${value}\r\n`, body), NOT_A_NUMBER);

export const lengthCases: readonly FramingCase[] = [
  served("a body of its length", post("Content-Length: 3\r\n", "abc"), "POST /p a length:abc"),
  served("a length without a space", post("Content-Length:3\r\n", "abc"), "POST /p a length:abc"),
  served("a length with blanks around", post("Content-Length: \t3 \t\r\n", "abc"), "POST /p a length:abc"),
  served("a length with leading zeros", post("Content-Length: 0003\r\n", "abc"), "POST /p a length:abc"),
  served("a length of zero", post("Content-Length: 0\r\n"), "POST /p a"),
  served("no length at all", post(""), "POST /p a"),
  served("a name in odd case", post("cOnTeNt-LeNgTh: 3\r\n", "abc"), "POST /p a length:abc"),
  served("a GET with a body", get("Content-Length: 3\r\n").concat("abc"), "GET /g a length:abc"),
  served("a GET with a length of zero", get("Content-Length: 0\r\n"), "GET /g a"),
  served(
    "a body that looks like a request",
    post(`Content-Length: ${EVIL.length}\r\n`, EVIL),
    `POST /p a length:${EVIL}`,
  ),
  served("a body of NUL bytes", post("Content-Length: 2\r\n", "\0\0"), "POST /p a length:\0\0"),
  refused("two equal lengths", post("Content-Length: 1\r\nContent-Length: 1\r\n", "x"), TWICE),
  refused("two different lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n", "xx"), TWICE),
  refused(
    "a length and a length of zero",
    post(`Content-Length: 0\r\nContent-Length: ${EVIL.length}\r\n`, EVIL),
    TWICE,
  ),
  refused("two lengths, other headers between", post("Content-Length: 1\r\nX: y\r\nCONTENT-LENGTH: 1\r\n", "x"), TWICE),
  refused("three lengths", post("Content-Length: 1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", "x"), TWICE),
  bad("a list of equal lengths", " 1, 1"),
  bad("a list of lengths", " 1,2"),
  bad("a list with an empty item", " 1,"),
  bad("a signed length", " +1"),
  bad("a negative length", " -1"),
  bad("a negative zero", " -0"),
  bad("a hexadecimal length", " 0x1"),
  bad("an octal length", " 0o1"),
  bad("an exponent", " 1e0"),
  bad("a fraction", " 1.0"),
  bad("an underscore inside", " 1_0"),
  bad("a thousands separator", " 1'0"),
  bad("an empty length", ""),
  bad("a length of blanks", "  \t "),
  bad("a space inside", " 1 1"),
  bad("a quoted length", ' "1"'),
  bad("a length in letters", " one"),
  bad("a length with a unit", " 1b"),
  bad("a semicolon behind", " 1;q=1"),
  bad("2^63", " 9223372036854775808"),
  bad("2^64", " 18446744073709551616"),
  bad("2^64 + 1, which wraps to 1", " 18446744073709551617"),
  bad("forty digits", ` ${"9".repeat(40)}`),
  bad("digits of another script", " \xb2"),
  bad("a no-break space", " \xa01"),
  refused(
    "a vertical tab before the digits",
    post("Content-Length: \x0b1\r\n", "x"),
    "a_control_character_in_a_header_s_value",
  ),
  refused("a NUL behind the digits", post("Content-Length: 1\0\r\n", "x"), "a_control_character_in_a_header_s_value"),
  refused("a length line that is folded", post("Content-Length:\r\n 1\r\n", "x"), "a_folded_header_line"),
  refused("a length folded behind its digits", post("Content-Length: 1\r\n 0\r\n", "x"), "a_folded_header_line"),
  refused(
    "a space before the colon of the length",
    post("Content-Length : 1\r\n", "x"),
    "a_space_before_a_header_s_colon",
  ),
  unfinished("a body shorter than its length", post("Content-Length: 9\r\n", "abc")),
  unfinished("a length and no body", post("Content-Length: 9\r\n")),
  unfinished("the largest length that counts", post("Content-Length: 999999999999999\r\n", "abc")),
  servedLast("a body and the end", post("Connection: close\r\nContent-Length: 3\r\n", "abc"), "POST /p a length:abc"),
  {
    ...broken("bytes behind a body that are no request", post("Content-Length: 1\r\n", "abc\r\n"), "x"),
    answer: ["200 ok", "400"],
    origin: ["POST /p a length:a"],
    details: "via_upstream",
  },
];
