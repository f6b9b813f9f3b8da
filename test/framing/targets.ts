// The request line and its target (RFC 9112, section 3), the Host header (RFC 9110, section 7.2).

import { type FramingCase, H, refused, rich, served, servedLast } from "./case.ts";

const line = (name: string, text: string, details: string, status = 400): FramingCase =>
  refused(name, `${text}\r\n${H}\r\n`, details, status);
const SHAPE = "the_request_line_is_not_method_target_version";
const TARGET = "a_character_that_a_request_target_may_not_have";
const FORM = "the_target_is_neither_a_path_nor_an_absolute_uri";
const VERSION = "the_version_is_not_http_1_1";
const UNKNOWN = "the_method_is_not_one_that_is_known";
const METHOD = "the_method_is_not_a_token";
const AUTHORITY = "the_authority_of_the_target_is_not_valid";
const HOST = "the_host_header_is_not_valid";
const host = (name: string, value: string, details = HOST): FramingCase =>
  refused(name, `GET /g HTTP/1.1\r\nHost:${value}\r\n\r\n`, details);
const asked = (name: string, target: string, origin: string): FramingCase =>
  served(name, `GET ${target} HTTP/1.1\r\n${H}\r\n`, origin);

export const targetCases: readonly FramingCase[] = [
  asked("a path and a query", "/x/y?z=1&y=%20", "GET /x/y?z=1&y=%20 a"),
  asked("every character a path may have", "/-._~!$&'()*+,;=:@%41", "GET /-._~!$&'()*+,;=:@%41 a"),
  asked("an absolute target", "http://b/x", "GET /x b"),
  asked("an absolute target without a path", "http://b", "GET / b"),
  asked("an absolute target with a query and no path", "http://b?q", "GET /?q b"),
  asked("an absolute target in capitals", "HTTP://b/x", "GET /x b"),
  asked("an absolute target with a port", "http://b:8080/x", "GET /x b:8080"),
  asked("a path that holds a URI", "/http://b/x", "GET /http://b/x a"),
  { ...served("a star that no route matches", `OPTIONS * HTTP/1.1\r\n${H}\r\n`), answer: ["404"] },
  served("a method of WebDAV", `PROPFIND /g HTTP/1.1\r\n${H}\r\n`, "PROPFIND /g a"),
  rich(served("a method nobody knows, where those are allowed", `BREW /pot HTTP/1.1\r\n${H}\r\n`, "BREW /pot a")),
  rich(served("a method in small letters is another method", `get /g HTTP/1.1\r\n${H}\r\n`, "get /g a")),
  refused("a method nobody knows", `BREW /pot HTTP/1.1\r\n${H}\r\n`, UNKNOWN),
  refused("a method in small letters", `get /g HTTP/1.1\r\n${H}\r\n`, UNKNOWN),
  line("no version", "GET /g", SHAPE),
  line("a method alone", "GET", SHAPE),
  line("an empty request line", "", SHAPE),
  line("the version in small letters", "GET /g http/1.1", VERSION),
  line("no digit behind the dot", "GET /g HTTP/1.", VERSION),
  line("two digits behind the dot", "GET /g HTTP/1.10", VERSION),
  line("two digits before the dot", "GET /g HTTP/01.1", VERSION),
  line("a comma for the dot", "GET /g HTTP/1,1", VERSION),
  line("a space in the version", "GET /g HTTP /1.1", VERSION),
  line("another protocol", "GET /g ICAP/1.0", VERSION),
  line("a space behind the version", "GET /g HTTP/1.1 ", VERSION),
  line("HTTP/2.0", "GET /g HTTP/2.0", VERSION, 505),
  line("HTTP/0.9", "GET /g HTTP/0.9", VERSION, 505),
  line("HTTP/1.2", "GET /g HTTP/1.2", VERSION, 505),
  line("HTTP/1.0 where it is off", "GET /g HTTP/1.0", "http_1_0_is_not_accepted_here", 426),
  line("a space in the target", "GET /a b HTTP/1.1", TARGET),
  line("a request hidden in the target", `GET /g HTTP/1.1 /evil HTTP/1.1`, TARGET),
  line("two spaces behind the method", "GET  /g HTTP/1.1", TARGET),
  line("two spaces behind the target", "GET /g  HTTP/1.1", TARGET),
  line("a tab for the first space", "GET\t/g HTTP/1.1", SHAPE),
  line("a tab for the second space", "GET /g\tHTTP/1.1", SHAPE),
  line("a bare CR in the request line", "GET /g\rX HTTP/1.1", TARGET),
  line("a NUL in the target", "GET /\0 HTTP/1.1", TARGET),
  line("a fragment", "GET /g#x HTTP/1.1", TARGET),
  line("a target beyond ASCII", "GET /\xe9 HTTP/1.1", TARGET),
  line("a DEL in the target", "GET /\x7f HTTP/1.1", TARGET),
  line("a target that is no path", "GET g HTTP/1.1", FORM),
  line("a target that is a query", "GET ?g HTTP/1.1", FORM),
  line("a star for GET", "GET * HTTP/1.1", FORM),
  line("a star and a path", "OPTIONS */x HTTP/1.1", FORM),
  line("an authority for GET", "GET a:80 HTTP/1.1", FORM),
  line("an absolute target without an authority", "GET http:///x HTTP/1.1", AUTHORITY),
  line("an absolute target with user information", "GET http://u@b/x HTTP/1.1", AUTHORITY),
  line("an absolute target of one slash", "GET http:/b HTTP/1.1", FORM),
  line("another scheme", "GET ftp://b/x HTTP/1.1", FORM),
  line("a file's scheme", "GET file:///etc/passwd HTTP/1.1", FORM),
  line("an absolute target with a backslash in the authority", "GET http://b\\c/x HTTP/1.1", AUTHORITY),
  line("a method with a colon", "GE:T /g HTTP/1.1", METHOD),
  line("a method in parentheses", "(GET) /g HTTP/1.1", METHOD),
  line("a method beyond ASCII", "G\xcbT /g HTTP/1.1", METHOD),
  line("a method with a NUL", "GET\0 /g HTTP/1.1", METHOD),
  line("an empty method", " /g HTTP/1.1", SHAPE),
  line("a response", "HTTP/1.1 200 OK", VERSION),
  line("a TLS handshake's first bytes", "\x16\x03\x01\x02\0\x01", SHAPE),
  refused("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION, 505),
  refused("CONNECT with a path", `CONNECT /g HTTP/1.1\r\n${H}\r\n`, "the_target_of_connect_is_not_an_authority"),
  refused(
    "CONNECT with an absolute target",
    `CONNECT http://b/ HTTP/1.1\r\n${H}\r\n`,
    "the_target_of_connect_is_not_an_authority",
  ),
  {
    ...servedLast("CONNECT where no route allows it", "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"),
    answer: ["404"],
  },
  served("a host with a port", "GET /g HTTP/1.1\r\nHost: a:8080\r\n\r\n", "GET /g a:8080"),
  served("a host that is an IPv6 address", "GET /g HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET /g [::1]:80"),
  served("a host with blanks around", "GET /g HTTP/1.1\r\nHost: \ta \r\n\r\n", "GET /g a"),
  served("a host in capitals", "GET /g HTTP/1.1\r\nHost: A.Example\r\n\r\n", "GET /g A.Example"),
  served("an absolute target and another host", "GET http://b/x HTTP/1.1\r\nHost: c\r\n\r\n", "GET /x b"),
  refused("no host", "GET /g HTTP/1.1\r\nX: y\r\n\r\n", "no_host_header"),
  refused("an absolute target and no host", "GET http://b/x HTTP/1.1\r\nX: y\r\n\r\n", "no_host_header"),
  refused("no header at all", "GET /g HTTP/1.1\r\n\r\n", "no_host_header"),
  refused("two hosts", "GET /g HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "more_than_one_host_header"),
  refused("one host twice", "GET /g HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "more_than_one_host_header"),
  host("an empty host", ""),
  host("a host of blanks", " \t"),
  host("a host with a space", " a b"),
  host("a host with a tab", " a\tb"),
  host("a host with a slash", " a/b"),
  host("a host with a question mark", " a?b"),
  host("a host with a fragment", " a#b"),
  host("a host with user information", " u@a"),
  host("a host with a backslash", " a\\b"),
  host("a host beyond ASCII", " \xe9"),
  host("a host with a quote", ' "a"'),
  host("a host with angle brackets", " <a>"),
  rich(served("an absolute target of an https origin", `GET https://b/x HTTP/1.1\r\n${H}\r\n`, "GET /x b")),
];
