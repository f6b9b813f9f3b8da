// Expressions of the Common Expression Language, as far as conditions on requests use it: compiled once, evaluated without a
// throw. What can't be evaluated (an attribute that is absent, values that don't fit) is an error, which `&&` and `||` take up
// as the language says.

import { compilePattern } from "../base/pattern.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type Expression, parseCel } from "./cel-parse.ts";

export class Duration {
  readonly ms: number;

  constructor(ms: number) {
    this.ms = ms;
  }
}

/** A map's keys are looked up when they are asked for. */
export interface CelMap {
  get(key: string): CelValue | undefined;
}

export type CelValue = string | number | boolean | null | Duration | readonly CelValue[] | CelMap;

/** Stands for any error: undefined is no value of the language. */
export type Evaluated = CelValue | undefined;

export type Attributes<T> = Readonly<Record<string, Readonly<Record<string, (from: T) => Evaluated>>>>;
export type Evaluator<T> = (from: T) => Evaluated;

/** The error says where, or which attribute or function is not known. */
export function compileCel<T>(text: string, attributes: Attributes<T>): Result<Evaluator<T>, string> {
  const parsed = parseCel(text);
  if (!parsed.ok) return parsed;
  const problems: string[] = [];
  const evaluate = new Compiler(attributes, problems).compile(parsed.value);
  const [first] = problems;
  return first === undefined ? ok(evaluate) : err(first);
}

class Compiler<T> {
  readonly #attributes: Attributes<T>;
  readonly #problems: string[];

  constructor(attributes: Attributes<T>, problems: string[]) {
    this.#attributes = attributes;
    this.#problems = problems;
  }

  compile(node: Expression): Evaluator<T> {
    switch (node.kind) {
      case "literal":
        return () => node.value;
      case "list": {
        const items = node.items.map((item) => this.compile(item));
        return (from) => {
          const values = items.map((item) => item(from));
          return values.every((value) => value !== undefined) ? values : undefined;
        };
      }
      case "name":
        return this.#unknown(`${node.name} is not an attribute: they are ${this.#names()}`);
      case "member":
        return this.#member(node.of, node.name);
      case "index": {
        const of = this.compile(node.of);
        const at = this.compile(node.at);
        return (from) => element(of(from), at(from));
      }
      case "call":
        return this.#call(node.name, node.on, node.arguments);
      case "unary":
        return this.#unary(node.operator, this.compile(node.of));
      case "binary":
        return this.#binary(node.operator, this.compile(node.left), this.compile(node.right));
      case "choice": {
        const [condition, yes, no] = [node.condition, node.yes, node.no].map((one) => this.compile(one));
        return (from) => {
          const value = condition?.(from);
          return typeof value === "boolean" ? (value ? yes : no)?.(from) : undefined;
        };
      }
    }
  }

  #names(): string {
    return Object.keys(this.#attributes).join(", ");
  }

  #unknown(problem: string): Evaluator<T> {
    this.#problems.push(problem);
    return () => undefined;
  }

  #member(of: Expression, name: string): Evaluator<T> {
    if (of.kind !== "name") {
      const inner = this.compile(of);
      return (from) => element(inner(from), name);
    }
    const group = this.#attributes[of.name];
    if (group === undefined) return this.compile(of);
    const read = group[name];
    if (read !== undefined) return read;
    return this.#unknown(
      `${of.name}.${name} is not an attribute: of ${of.name} they are ${Object.keys(group).join(", ")}`,
    );
  }

  #unary(operator: "!" | "-", of: Evaluator<T>): Evaluator<T> {
    if (operator === "!") return (from) => negated(of(from));
    return (from) => {
      const value = of(from);
      return typeof value === "number" ? -value : undefined;
    };
  }

  #binary(operator: string, left: Evaluator<T>, right: Evaluator<T>): Evaluator<T> {
    // Either side's answer may stand where the other is an error.
    if (operator === "&&" || operator === "||") {
      const decisive = operator === "||";
      return (from) => {
        const first = left(from);
        if (first === decisive) return decisive;
        const second = right(from);
        if (second === decisive) return decisive;
        return first === !decisive && second === !decisive ? !decisive : undefined;
      };
    }
    const apply = OPERATORS[operator];
    if (apply === undefined) return this.#unknown(`the operator ${operator} is not known`);
    return (from) => {
      const first = left(from);
      const second = right(from);
      return first === undefined || second === undefined ? undefined : apply(first, second);
    };
  }

  #call(name: string, on: Expression | undefined, given: readonly Expression[]): Evaluator<T> {
    const [first] = given;
    if (name === "has" && on === undefined && first?.kind === "member") {
      const inner = this.compile(first);
      return (from) => inner(from) !== undefined;
    }
    const apply = FUNCTIONS[name];
    if (apply === undefined)
      return this.#unknown(`the function ${name} is not known: ${Object.keys(FUNCTIONS).join(", ")}`);
    const operands = (on === undefined ? given : [on, ...given]).map((one) => this.compile(one));
    if (name === "matches") return this.#matches(operands, on === undefined ? given[1] : first);
    return (from) => {
      const values: CelValue[] = [];
      for (const operand of operands) {
        const value = operand(from);
        if (value === undefined) return undefined;
        values.push(value);
      }
      return apply(values);
    };
  }

  /** The expression is compiled once. */
  #matches(operands: readonly Evaluator<T>[], pattern: Expression | undefined): Evaluator<T> {
    if (pattern?.kind !== "literal" || typeof pattern.value !== "string")
      return this.#unknown("matches() needs a regular expression written out");
    const compiled = compilePattern(pattern.value);
    if (!compiled.ok) return this.#unknown(`${pattern.value} is not a regular expression of RE2: ${compiled.error}`);
    const [subject] = operands;
    return (from) => {
      const value = subject?.(from);
      return typeof value === "string" ? compiled.value.matcher(value).find() : undefined;
    };
  }
}

function negated(value: Evaluated): Evaluated {
  return typeof value === "boolean" ? !value : undefined;
}

function element(of: Evaluated, key: Evaluated): Evaluated {
  if (Array.isArray(of)) return typeof key === "number" ? of[key] : undefined;
  return isMap(of) && typeof key === "string" ? of.get(key) : undefined;
}

function isMap(value: Evaluated): value is CelMap {
  return typeof value === "object" && value !== null && "get" in value;
}

function isList(value: Evaluated): value is readonly CelValue[] {
  return Array.isArray(value);
}

function same(a: CelValue, b: CelValue): boolean {
  if (a instanceof Duration && b instanceof Duration) return a.ms === b.ms;
  if (isList(a) && isList(b)) return a.length === b.length && a.every((one, at) => same(one, b[at] ?? null));
  return a === b;
}

/** Less, equal, greater; undefined where the two can't be compared. */
function compare(a: CelValue, b: CelValue): number | undefined {
  if (a instanceof Duration && b instanceof Duration) return a.ms - b.ms;
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  return undefined;
}

function ordered(test: (difference: number) => boolean): (a: CelValue, b: CelValue) => Evaluated {
  return (a, b) => {
    const difference = compare(a, b);
    return difference === undefined ? undefined : test(difference);
  };
}

function arithmetic(apply: (a: number, b: number) => number): (a: CelValue, b: CelValue) => Evaluated {
  return (a, b) => {
    if (typeof a !== "number" || typeof b !== "number") return undefined;
    const value = apply(a, b);
    return Number.isFinite(value) ? value : undefined;
  };
}

const plus = arithmetic((a, b) => a + b);

const OPERATORS: Readonly<Record<string, (a: CelValue, b: CelValue) => Evaluated>> = {
  "==": same,
  "!=": (a, b) => !same(a, b),
  "<": ordered((difference) => difference < 0),
  "<=": ordered((difference) => difference <= 0),
  ">": ordered((difference) => difference > 0),
  ">=": ordered((difference) => difference >= 0),
  "+": (a, b) => (typeof a === "string" && typeof b === "string" ? a + b : plus(a, b)),
  "-": arithmetic((a, b) => a - b),
  "*": arithmetic((a, b) => a * b),
  "/": arithmetic((a, b) => (Number.isInteger(a) && Number.isInteger(b) ? Math.trunc(a / b) : a / b)),
  "%": arithmetic((a, b) => a % b),
  in: (a, b) => {
    if (isList(b)) return b.some((one) => same(a, one));
    return isMap(b) && typeof a === "string" ? b.get(a) !== undefined : undefined;
  },
};

function ofTexts(apply: (text: string, other: string) => boolean): (values: readonly CelValue[]) => Evaluated {
  return ([text, other]) => (typeof text === "string" && typeof other === "string" ? apply(text, other) : undefined);
}

const FUNCTIONS: Readonly<Record<string, (values: readonly CelValue[]) => Evaluated>> = {
  startsWith: ofTexts((text, start) => text.startsWith(start)),
  endsWith: ofTexts((text, end) => text.endsWith(end)),
  contains: ofTexts((text, part) => text.includes(part)),
  matches: () => undefined,
  has: () => undefined,
  size: ([value]) => (typeof value === "string" || isList(value) ? [...value].length : undefined),
  int: ([value]) => {
    const number = typeof value === "string" && !/^-?\d+$/.test(value) ? Number.NaN : Number(value);
    return Number.isFinite(number) ? Math.trunc(number) : undefined;
  },
  string: ([value]) => (value === null || typeof value === "object" ? undefined : String(value)),
  lowerAscii: ([value]) => (typeof value === "string" ? value.toLowerCase() : undefined),
  duration: ([value]) => (typeof value === "string" ? durationOf(value) : undefined),
};

const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, ns: 1e-6 };

function durationOf(text: string): Duration | undefined {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|us|ns|h|m|s)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text) return undefined;
  return new Duration(parts.reduce((sum, [, amount, unit = ""]) => sum + Number(amount) * (UNIT_MS[unit] ?? 0), 0));
}
