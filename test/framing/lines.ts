// Line ends and header lines (RFC 9112, sections 2.2 and 5; RFC 9110, section 5).

import { EVIL, type FramingCase, get, H, refused, served, unfinished } from "./case.ts";

const NAME = "a_character_that_a_header_s_name_may_not_have";
const TARGET = "a_character_that_a_request_target_may_not_have";
const LF = "an_lf_without_a_cr";
const CR = "a_cr_without_an_lf";
const CONTROL = "a_control_character_in_a_header_s_value";
const FOLD = "a_folded_header_line";
const line = (name: string, text: string, details: string): FramingCase => refused(name, get(`${text}\r\n`), details);

export const lineCases: readonly FramingCase[] = [
  served("an empty line before the request", `\r\n${get()}`, "GET /g a"),
  refused("two empty lines before the request", `\r\n\r\n${get()}`, "the_request_line_is_not_method_target_version"),
  refused("a bare LF before the request", `\n${get()}`, "the_method_is_not_a_token"),
  refused("a bare CR before the request", `\r${get()}`, "the_method_is_not_a_token"),
  refused("a space before the request", ` ${get()}`, "the_request_line_is_not_method_target_version"),
  refused("bare LFs only", "GET /g HTTP/1.1\nHost: a\n\n", TARGET),
  refused("a bare LF behind the request line", `GET /g HTTP/1.1\n${H}\r\n`, "the_version_is_not_http_1_1"),
  refused("a bare LF behind a header", `GET /g HTTP/1.1\r\nHost: a\nX: y\r\n\r\n`, LF),
  refused(
    "a bare LF as the empty line",
    `GET /g HTTP/1.1\r\n${H}\n${EVIL}`,
    "a_header_line_without_a_colon_or_a_bare_cr_or_lf",
  ),
  refused(
    "CR LF LF",
    `GET /g HTTP/1.1\r\n${H.slice(0, -2)}\r\n\n${EVIL}`,
    "a_header_line_without_a_colon_or_a_bare_cr_or_lf",
  ),
  refused("CR CR LF behind a header", `GET /g HTTP/1.1\r\nHost: a\r\r\n\r\n`, CR),
  refused("bare CRs only", `GET /g HTTP/1.1\rHost: a\r\r${EVIL}`, TARGET),
  refused(
    "CR CR LF as the empty line",
    `GET /g HTTP/1.1\r\n${H}\r\r\n${EVIL}`,
    "a_header_line_without_a_colon_or_a_bare_cr_or_lf",
  ),
  line("a bare CR in a value", "X: a\rb", CR),
  line("a bare CR at a value's beginning", "X: \rb", CR),
  line("a bare CR before a header", "X: a\rY: b", CR),
  line("a bare CR in a name", "X\r: a", "a_header_line_without_a_colon_or_a_bare_cr_or_lf"),
  line("a bare LF in a value", "X: a\nb", LF),
  line("a bare LF before a header", "X: a\nY: b", LF),
  line("a bare LF in a name", "X\n: a", "a_header_line_without_a_colon_or_a_bare_cr_or_lf"),
  line("a folded line", "X: a\r\n b", FOLD),
  line("a folded line by tab", "X: a\r\n\tb", FOLD),
  line("a folded line of blanks", "X: a\r\n \t ", FOLD),
  refused("a first header line that begins with a space", `GET /g HTTP/1.1\r\n Host: a\r\n\r\n`, FOLD),
  refused("a first header line that begins with a tab", `GET /g HTTP/1.1\r\n\tHost: a\r\n\r\n`, FOLD),
  line("a NUL in a value", "X: a\0b", CONTROL),
  line("a DEL in a value", "X: a\x7fb", CONTROL),
  line("an escape in a value", "X: \x1b[0m", CONTROL),
  line("a bell in a value", "X: \x07", CONTROL),
  line("a vertical tab in a value", "X: a\x0bb", CONTROL),
  line("a space before the colon", "X : a", "a_space_before_a_header_s_colon"),
  line("a tab before the colon", "X\t: a", "a_space_before_a_header_s_colon"),
  line("a space inside a name", "X y: a", "a_space_before_a_header_s_colon"),
  line("a line without a colon", "nonsense", "a_header_line_without_a_colon_or_a_bare_cr_or_lf"),
  line("an empty name", ": x", "a_header_line_has_no_name"),
  line("a pseudo header", ":path: /evil", "a_header_line_has_no_name"),
  line("a name with parentheses", "X(y): x", NAME),
  line("a name in quotes", '"X": x', NAME),
  line("a name with a comma", "X,Y: x", NAME),
  line("a name with a slash", "X/Y: x", NAME),
  line("a name with a brace", "X{: x", NAME),
  line("a name with an at sign", "X@y: x", NAME),
  line("a name with a NUL", "X\0: x", NAME),
  line("a name with a DEL", "X\x7f: x", NAME),
  line("a name beyond ASCII", "\xe9: x", NAME),
  served("every character a name may have", get("!#$%&'*+-.^`|~09aZ: x\r\n"), "GET /g a !#$%&'*+-.^`|~09az=x"),
  served("an empty value", get("X:\r\n"), "GET /g a x="),
  served("a value of blanks", get("X: \t \r\n"), "GET /g a x="),
  served("blanks around a value", get("X: \ta b\t \r\n"), "GET /g a x=a b"),
  served("a tab inside a value", get("X: a\tb\r\n"), "GET /g a x=a\tb"),
  served("bytes beyond ASCII in a value", get("X: \xe9\xff\r\n"), "GET /g a x=\xe9\xff"),
  served("colons in a value", get("X: a:b:c\r\n"), "GET /g a x=a:b:c"),
  served("one name twice", get("X: 1\r\nX: 2\r\n"), "GET /g a x=1 x=2"),
  unfinished("a head without its empty line", `GET /g HTTP/1.1\r\n${H}`, "none"),
  unfinished("half a request line", "GET /g HT", "none"),
  unfinished("half an empty line", `GET /g HTTP/1.1\r\n${H}\r`, "none"),
];
