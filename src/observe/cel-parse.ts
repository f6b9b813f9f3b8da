// The Common Expression Language's grammar, to a tree.

import { err, ok, type Result } from "../base/result.ts";

export type Expression =
  | { readonly kind: "literal"; readonly value: string | number | boolean | null }
  | { readonly kind: "list"; readonly items: readonly Expression[] }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "member"; readonly of: Expression; readonly name: string }
  | { readonly kind: "index"; readonly of: Expression; readonly at: Expression }
  | {
      readonly kind: "call";
      readonly name: string;
      readonly on: Expression | undefined;
      readonly arguments: readonly Expression[];
    }
  | { readonly kind: "unary"; readonly operator: "!" | "-"; readonly of: Expression }
  | { readonly kind: "binary"; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "choice"; readonly condition: Expression; readonly yes: Expression; readonly no: Expression };

interface Token {
  readonly kind: "name" | "number" | "string" | "symbol" | "end";
  readonly text: string;
  readonly at: number;
}

const DEPTH_MAX = 64;
const TOKEN =
  /\s*(?:([A-Za-z_]\w*)|(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)u?|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(&&|\|\||[=!<>]=|[-+*/%<>!?:()[\].,]))/y;

export function parseCel(text: string): Result<Expression, string> {
  const tokens = tokenize(text);
  if (!tokens.ok) return tokens;
  return new Parser(tokens.value).parse();
}

function tokenize(text: string): Result<readonly Token[], string> {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = text.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) return err(`character ${at + 1}: ${text.slice(at, at + 10).trim()} is not of the language`);
    const [, name, number, string, symbol] = match;
    if (name !== undefined) tokens.push({ kind: name === "in" ? "symbol" : "name", text: name, at });
    else if (number !== undefined) tokens.push({ kind: "number", text: number, at });
    else if (string !== undefined) tokens.push({ kind: "string", text: unquoted(string), at });
    else tokens.push({ kind: "symbol", text: symbol ?? "", at });
  }
  tokens.push({ kind: "end", text: "", at: end });
  return ok(tokens);
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };

function unquoted(text: string): string {
  return text.slice(1, -1).replace(/\\(.)/gs, (_whole, one: string) => ESCAPES[one] ?? one);
}

/** From the loosest to the closest. */
const LEVELS: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["==", "!=", "<", "<=", ">", ">=", "in"],
  ["+", "-"],
  ["*", "/", "%"],
];

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;
  #problem: string | undefined;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): Result<Expression, string> {
    const expression = this.#choice();
    if (this.#next.kind !== "end") this.#fail("the end, or an operator,");
    return this.#problem === undefined ? ok(expression) : err(this.#problem);
  }

  get #next(): Token {
    return this.#tokens[this.#at] ?? { kind: "end", text: "", at: 0 };
  }

  #fail(wanted: string): Expression {
    const { at, text } = this.#next;
    this.#problem ??= `character ${at + 1}: ${wanted} is expected${text === "" ? "" : `, not ${text}`}`;
    return { kind: "literal", value: null };
  }

  #takes(symbol: string): boolean {
    const { kind, text } = this.#next;
    if (kind !== "symbol" || text !== symbol) return false;
    this.#at += 1;
    return true;
  }

  #expect(symbol: string): void {
    if (!this.#takes(symbol)) this.#fail(symbol);
  }

  #choice(): Expression {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX || this.#problem !== undefined) return this.#fail("less nesting");
    const condition = this.#level(0);
    let made = condition;
    if (this.#takes("?")) {
      const yes = this.#level(0);
      this.#expect(":");
      made = { kind: "choice", condition, yes, no: this.#choice() };
    }
    this.#depth -= 1;
    return made;
  }

  #level(level: number): Expression {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#level(level + 1);
    while (this.#problem === undefined && this.#next.kind === "symbol" && operators.includes(this.#next.text)) {
      const operator = this.#next.text;
      this.#at += 1;
      left = { kind: "binary", operator, left, right: this.#level(level + 1) };
    }
    return left;
  }

  #unary(): Expression {
    for (const operator of ["!", "-"] as const) {
      if (!this.#takes(operator)) continue;
      this.#depth += 1;
      if (this.#depth > DEPTH_MAX) return this.#fail("less nesting");
      const of = this.#unary();
      this.#depth -= 1;
      return { kind: "unary", operator, of };
    }
    return this.#member();
  }

  #member(): Expression {
    let made = this.#primary();
    while (this.#problem === undefined) {
      if (this.#takes("[")) {
        made = { kind: "index", of: made, at: this.#choice() };
        this.#expect("]");
      } else if (this.#takes(".")) {
        const name = this.#name();
        made = this.#takes("(")
          ? { kind: "call", name, on: made, arguments: this.#items(")") }
          : { kind: "member", of: made, name };
      } else return made;
    }
    return made;
  }

  #name(): string {
    const { kind, text } = this.#next;
    if (kind === "name") this.#at += 1;
    else this.#fail("a name");
    return text;
  }

  #primary(): Expression {
    const { kind, text } = this.#next;
    if (this.#takes("(")) {
      const inner = this.#choice();
      this.#expect(")");
      return inner;
    }
    if (this.#takes("[")) return { kind: "list", items: this.#items("]") };
    if (kind === "symbol" || kind === "end") return this.#fail("a value");
    this.#at += 1;
    if (kind === "number") return { kind: "literal", value: Number(text) };
    if (kind === "string") return { kind: "literal", value: text };
    if (text === "true" || text === "false") return { kind: "literal", value: text === "true" };
    if (text === "null") return { kind: "literal", value: null };
    if (this.#takes("(")) return { kind: "call", name: text, on: undefined, arguments: this.#items(")") };
    return { kind: "name", name: text };
  }

  #items(end: string): readonly Expression[] {
    const items: Expression[] = [];
    if (this.#takes(end)) return items;
    do items.push(this.#choice());
    while (this.#problem === undefined && this.#takes(","));
    this.#expect(end);
    return items;
  }
}
