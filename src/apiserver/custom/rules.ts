// `x-kubernetes-validations`: rules in CEL over a value and the one before it.

// The evaluator is loaded with the first rule: most clusters have none.

import { createRequire } from "node:module";
import type { CelInput, CelResult } from "@bufbuild/cel";
import { errorIssue, type Issue } from "../../api/issue.ts";
import { isRecord } from "../../base/json.ts";
import { CEL_RULES_MAX, SCHEMA_DEPTH_MAX } from "../limits.ts";
import { insides, type OpenApi } from "./schema.ts";

type Program = (bindings: Record<string, CelInput>) => CelResult;

interface Evaluator {
  readonly compile: (rule: string) => Program;
  readonly isError: (result: CelResult) => result is Extract<CelResult, { readonly message: string }>;
}

let loaded: Evaluator | undefined;

function evaluator(): Evaluator {
  if (loaded !== undefined) return loaded;
  const require = createRequire(import.meta.url);
  const cel: typeof import("@bufbuild/cel") = require("@bufbuild/cel");
  const { strings }: typeof import("@bufbuild/cel/ext") = require("@bufbuild/cel/ext");
  const environment = cel.celEnv({ funcs: strings });
  loaded = { compile: (rule) => cel.plan(environment, cel.parse(rule)), isError: cel.isCelError };
  return loaded;
}

const programs = new Map<string, Program | string>();

/** The rule as a program, or why it is none. */
function compile(rule: string): Program | string {
  const known = programs.get(rule);
  if (known !== undefined) return known;
  if (programs.size >= CEL_RULES_MAX) programs.clear();
  let made: Program | string;
  try {
    made = evaluator().compile(rule);
  } catch (error) {
    made = error instanceof Error ? error.message : String(error);
  }
  programs.set(rule, made);
  return made;
}

interface Rule {
  readonly rule: string;
  readonly message: string | undefined;
  readonly messageExpression: string | undefined;
  readonly fieldPath: string;
  readonly reason: string;
}

function rulesOf(schema: OpenApi): readonly Rule[] {
  const given = schema["x-kubernetes-validations"];
  return (Array.isArray(given) ? given : []).filter(isRecord).map((each) => ({
    rule: String(each["rule"] ?? ""),
    message: typeof each["message"] === "string" ? each["message"] : undefined,
    messageExpression: typeof each["messageExpression"] === "string" ? each["messageExpression"] : undefined,
    fieldPath: typeof each["fieldPath"] === "string" ? each["fieldPath"] : "",
    reason: String(each["reason"] ?? "FieldValueInvalid"),
  }));
}

/** Rules that don't parse are told when the definition is made. */
export function ruleIssues(schema: OpenApi, path: string, depth = 0): Issue[] {
  if (depth > SCHEMA_DEPTH_MAX) return [];
  const issues = rulesOf(schema).flatMap(({ rule }, index) => {
    const compiled = compile(rule);
    const at = `${path}.x-kubernetes-validations[${index}].rule`;
    return typeof compiled === "string" ? [errorIssue(at, `compilation failed: ${compiled}`)] : [];
  });
  const { properties, additionalProperties, items } = schema;
  const children = [
    ...(isRecord(properties) ? Object.entries(properties) : []).map(
      ([name, child]) => [`properties[${name}]`, child] as const,
    ),
    ["additionalProperties", additionalProperties] as const,
    ["items", items] as const,
  ];
  for (const [step, child] of children)
    if (isRecord(child)) issues.push(...ruleIssues(child, `${path}.${step}`, depth + 1));
  return issues;
}

interface Pair {
  readonly value: unknown;
  readonly before: unknown;
}

/** What the rules refuse. A rule that names `oldSelf` holds only where there is one. */
export function brokenRules({ value, before }: Pair, schema: OpenApi, path: string): Issue[] {
  if (value === undefined || value === null) return [];
  const issues = rulesOf(schema).flatMap((rule) => brokenRule(rule, { value, before }, { schema, path }));
  for (const [at, inner, child] of insides(value, schema, path)) {
    issues.push(...brokenRules({ value: inner, before: counterpart(at.slice(path.length), before) }, child, at));
  }
  return issues;
}

/** The same field of the value before; items of a list have no lasting place. */
function counterpart(step: string, before: unknown): unknown {
  const key = /^\.?([^.[\]]+)$/.exec(step)?.[1] ?? /^\[(.*)\]$/.exec(step)?.[1];
  return key !== undefined && isRecord(before) ? before[key] : undefined;
}

function brokenRule(
  { rule, message, messageExpression, fieldPath, reason }: Rule,
  { value, before }: Pair,
  { schema, path }: { readonly schema: OpenApi; readonly path: string },
): Issue[] {
  const isTransition = /\boldSelf\b/.test(rule);
  if (isTransition && before === undefined) return [];
  const bindings: Record<string, CelInput> = { self: toCel(value, schema) };
  if (isTransition) bindings["oldSelf"] = toCel(before, schema);
  const outcome = evaluate(rule, bindings);
  if (outcome === true) return [];
  const said = messageExpression === undefined ? undefined : evaluate(messageExpression, bindings);
  const failed =
    typeof outcome === "string" ? `evaluating rule ${JSON.stringify(rule)}: ${outcome}` : `failed rule: ${rule}`;
  const told = typeof said === "string" && said !== "" ? said : (message ?? failed);
  return [errorIssue(`${path}${fieldPath}`, told, REASONS[reason] ?? "invalid")];
}

const REASONS: Readonly<Record<string, Issue["reason"]>> = {
  FieldValueForbidden: "immutable",
  FieldValueRequired: "required",
  FieldValueDuplicate: "duplicate",
};

/** A text is an error's message, or what an expression for messages says. */
function evaluate(expression: string, bindings: Record<string, CelInput>): unknown {
  const program = compile(expression);
  if (typeof program === "string") return program;
  const result = program(bindings);
  return evaluator().isError(result) ? result.message : result;
}

/** Numbers as the schema has them: an integer is an int, everything else a double. */
function toCel(value: unknown, schema: OpenApi | undefined): CelInput {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") {
    const isInt = schema?.["type"] === "integer" || (schema?.["type"] !== "number" && Number.isInteger(value));
    return isInt ? BigInt(value) : value;
  }
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (Array.isArray(value)) {
    const items = schema?.["items"];
    return value.map((item: unknown) => toCel(item, isRecord(items) ? items : undefined));
  }
  const properties = schema?.["properties"];
  const others = schema?.["additionalProperties"];
  const entries = Object.entries(Object(value)).map(([key, inner]): [string, CelInput] => {
    const known = isRecord(properties) ? properties[key] : undefined;
    const child = known ?? others;
    return [key, toCel(inner, isRecord(child) ? child : undefined)];
  });
  return new Map(entries);
}
