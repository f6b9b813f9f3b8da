// Transfer-Encoding (RFC 9112, sections 6.1 and 7), beside Content-Length and in disguise: CL.TE, TE.CL and TE.TE.

import { EVIL, type FramingCase, get, H, post, refused, served } from "./case.ts";

const END = "0\r\n\r\n";
const SMUGGLE = `0\r\n\r\n${EVIL}`;
const BOTH = "both_content_length_and_transfer_encoding";
const BESIDE = "a_transfer_coding_beside_chunked";
const OTHER = "a_transfer_coding_other_than_chunked";
const coding = (name: string, value: string, details: string, status = 400): FramingCase =>
  refused(name, post(`Transfer-Encoding:${value}\r\n`, SMUGGLE), details, status);
const odd = (name: string, line: string, details: string): FramingCase =>
  refused(name, post(`Content-Length: 5\r\n${line}\r\n`, SMUGGLE), details);

export const codingCases: readonly FramingCase[] = [
  served("chunked", post("Transfer-Encoding: chunked\r\n", `3\r\nabc\r\n${END}`), "POST /p a chunked:abc"),
  served("CHUNKED", post("Transfer-Encoding: CHUNKED\r\n", `3\r\nabc\r\n${END}`), "POST /p a chunked:abc"),
  served(
    "chunked with blanks around",
    post("Transfer-Encoding: \tchunked \r\n", `3\r\nabc\r\n${END}`),
    "POST /p a chunked:abc",
  ),
  served("a GET that is chunked", `${get("Transfer-Encoding: chunked\r\n")}3\r\nabc\r\n${END}`, "GET /g a chunked:abc"),
  served("chunked and empty", post("Transfer-Encoding: chunked\r\n", END), "POST /p a chunked:"),
  refused("CL.TE", post(`Content-Length: ${SMUGGLE.length}\r\nTransfer-Encoding: chunked\r\n`, SMUGGLE), BOTH),
  refused("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", `5c\r\n${EVIL}\r\n${END}`), BOTH),
  refused("CL.TE with a length of zero", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", SMUGGLE), BOTH),
  refused("CL.TE in GET", `${get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")}${SMUGGLE}`, BOTH),
  refused(
    "a length and a coding that is not chunked",
    post("Content-Length: 5\r\nTransfer-Encoding: gzip\r\n", SMUGGLE),
    BOTH,
  ),
  refused("a length and identity", post("Content-Length: 5\r\nTransfer-Encoding: identity\r\n", SMUGGLE), BOTH),
  refused(
    "two lengths and chunked",
    post("Content-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", SMUGGLE),
    "more_than_one_content_length",
  ),
  coding("chunked, chunked", " chunked, chunked", BESIDE),
  coding("gzip, chunked", " gzip, chunked", BESIDE),
  coding("chunked, gzip", " chunked, gzip", BESIDE),
  coding("chunked, identity", " chunked, identity", BESIDE),
  coding("identity, chunked", " identity, chunked", BESIDE),
  coding("chunked with a comma behind", " chunked,", BESIDE),
  coding("chunked with a comma before", " ,chunked", BESIDE),
  coding("identity", " identity", OTHER, 501),
  coding("gzip", " gzip", OTHER, 501),
  coding("xchunked", " xchunked", OTHER, 501),
  coding("chunkedx", " chunkedx", OTHER, 501),
  coding("chunk", " chunk", OTHER, 501),
  coding("chunked in double quotes", ' "chunked"', OTHER, 501),
  coding("chunked in single quotes", " 'chunked'", OTHER, 501),
  coding("chunked with a parameter", " chunked;q=1", OTHER, 501),
  coding("an empty coding", "", OTHER, 501),
  coding("a coding of blanks", " \t ", OTHER, 501),
  coding("chunked with a space inside", " chun ked", OTHER, 501),
  coding("chunked and a no-break space", " chunked\xa0", OTHER, 501),
  coding("chunked behind a no-break space", " \xa0chunked", OTHER, 501),
  coding("chunked with a Kelvin sign's byte", " chun\xe2\x84\xaaed", OTHER, 501),
  coding("chunked behind a vertical tab", " \x0bchunked", "a_control_character_in_a_header_s_value"),
  coding("chunked behind a form feed", " \x0cchunked", "a_control_character_in_a_header_s_value"),
  coding("chunked and a NUL", " chunked\0", "a_control_character_in_a_header_s_value"),
  coding("chunked behind a folded line", "\r\n chunked", "a_folded_header_line"),
  coding("chunked and a bare CR", " chunked\r", "a_cr_without_an_lf"),
  coding("chunked behind a bare LF", "\nchunked", "an_lf_without_a_cr"),
  refused(
    "chunked in two lines",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", SMUGGLE),
    BESIDE,
  ),
  refused(
    "chunked, then identity in a line of its own",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", SMUGGLE),
    BESIDE,
  ),
  refused(
    "identity, then chunked",
    post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", SMUGGLE),
    BESIDE,
  ),
  refused(
    "an empty coding, then chunked",
    post("Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n", SMUGGLE),
    BESIDE,
  ),
  odd("TE.TE: a space before the colon", "Transfer-Encoding : chunked", "a_space_before_a_header_s_colon"),
  odd("TE.TE: a tab before the colon", "Transfer-Encoding\t: chunked", "a_space_before_a_header_s_colon"),
  odd("TE.TE: a space before the name", " Transfer-Encoding: chunked", "a_folded_header_line"),
  odd("TE.TE: behind a bare LF", "X: y\nTransfer-Encoding: chunked", "an_lf_without_a_cr"),
  odd("TE.TE: behind a bare CR", "X: y\rTransfer-Encoding: chunked", "a_cr_without_an_lf"),
  odd("TE.TE: a NUL in the name", "Transfer-Encoding\0: chunked", "a_character_that_a_header_s_name_may_not_have"),
  odd(
    "TE.TE: a vertical tab in the name",
    "Transfer-Encoding\x0b: chunked",
    "a_character_that_a_header_s_name_may_not_have",
  ),
  odd(
    "TE.TE: a byte beyond ASCII in the name",
    "Transfer-Encoding\xa0: chunked",
    "a_character_that_a_header_s_name_may_not_have",
  ),
  odd("TE.TE: a colon too many before the name", ":Transfer-Encoding: chunked", "a_header_line_has_no_name"),
  odd("TE.TE: no colon", "Transfer-Encoding chunked", "a_space_before_a_header_s_colon"),
  odd(
    "TE.TE: a semicolon for the colon",
    "Transfer-Encoding; chunked",
    "a_character_that_a_header_s_name_may_not_have",
  ),
  odd("TE.TE: the name in quotes", '"Transfer-Encoding": chunked', "a_character_that_a_header_s_name_may_not_have"),
  served(
    "an underscore in the name is another name",
    post("Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", END),
    `POST /p a transfer_encoding=chunked length:${END}`,
  ),
  served(
    "an x before the name is another name",
    post("Content-Length: 5\r\nX-Transfer-Encoding: chunked\r\n", END),
    `POST /p a x-transfer-encoding=chunked length:${END}`,
  ),
  served(
    "a colon too many behind the name is part of the value",
    post("Content-Length: 5\r\nX-Transfer-Encoding:: chunked\r\n", END),
    `POST /p a x-transfer-encoding=: chunked length:${END}`,
  ),
  refused(
    "two colons behind the name",
    `POST /p HTTP/1.1\r\n${H}Transfer-Encoding:: chunked\r\n\r\n${SMUGGLE}`,
    OTHER,
    501,
  ),
];
