// The trailer section (RFC 9110, section 6.5; RFC 9112, section 7.1.2).

import { broken, CHUNKED, EVIL, type FramingCase, rich, served, unfinished } from "./case.ts";

const ONE = `${CHUNKED}3\r\nabc\r\n0\r\n`;
const bad = (name: string, lines: string, details: string): FramingCase =>
  broken(name, `${ONE}${lines}\r\n${EVIL}`, `in_the_trailers_${details}`);
const NAME = "a_character_that_a_header_s_name_may_not_have";
const drops = (name: string, line: string): FramingCase =>
  rich(served(name, `${ONE}X-T: 1\r\n${line}\r\n\r\n`, "POST /p a chunked:abc trailer x-t=1"));

export const trailerCases: readonly FramingCase[] = [
  served("a trailer where trailers are off", `${ONE}X-T: 1\r\n\r\n`, "POST /p a chunked:abc"),
  rich(served("a trailer", `${ONE}X-T: 1\r\n\r\n`, "POST /p a chunked:abc trailer x-t=1")),
  rich(
    served("several trailers", `${ONE}X-T: 1\r\nX-U: 2\r\n\r\n`, "POST /p a chunked:abc trailer x-t=1 trailer x-u=2"),
  ),
  rich(served("an empty trailer", `${ONE}X-T:\r\n\r\n`, "POST /p a chunked:abc trailer x-t=")),
  drops("a Content-Length behind the body", "Content-Length: 5"),
  drops("a Transfer-Encoding behind the body", "Transfer-Encoding: chunked"),
  drops("a Host behind the body", "Host: b"),
  drops("a Connection behind the body", "Connection: close"),
  drops("an Authorization behind the body", "Authorization: Basic eDp5"),
  drops("a Trailer field behind the body", "Trailer: x-t"),
  bad("a space in a trailer's name", "X y: z\r\n", "a_space_before_a_header_s_colon"),
  bad("a space before a trailer's colon", "X : z\r\n", "a_space_before_a_header_s_colon"),
  bad("a trailer without a colon", "nonsense\r\n", "a_header_line_without_a_colon_or_a_bare_cr_or_lf"),
  bad("a trailer without a name", ": z\r\n", "a_header_line_has_no_name"),
  bad("a folded trailer", "X: y\r\n z\r\n", "a_folded_header_line"),
  bad("a first trailer that is folded", " X: y\r\n", "a_folded_header_line"),
  bad("a NUL in a trailer", "X: a\0b\r\n", "a_control_character_in_a_header_s_value"),
  bad("a NUL in a trailer's name", "X\0: b\r\n", NAME),
  bad("a bare CR in a trailer", "X: a\rb\r\n", "a_cr_without_an_lf"),
  bad("a bare LF in a trailer", "X: a\nb\r\n", "an_lf_without_a_cr"),
  bad("a request as trailers", EVIL.slice(0, -2), "a_space_before_a_header_s_colon"),
  broken("a bare LF behind the last chunk", `${ONE}\n${EVIL}`, "a_bare_lf_after_the_last_chunk"),
  broken("a bare LF after a trailer", `${ONE}X-T: 1\n\n${EVIL}`, "in_the_trailers_an_lf_without_a_cr"),
  broken(
    "more trailers than the limit",
    `${ONE}${"X: y\r\n".repeat(101)}\r\n`,
    "in_the_trailers_there_are_more_header_lines_than_the_limit_allows",
  ),
  broken(
    "trailers larger than the limit",
    `${ONE}X: ${"y".repeat(70_000)}\r\n\r\n`,
    "a_trailer_section_longer_than_the_limit",
  ),
  unfinished("trailers without their empty line", `${ONE}X-T: 1\r\n`),
];
